"""The main job: held-out, repeatable, resumable, and honest about what it cannot say."""

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingFileError, MissingKeyError, UnitsError
from stfmkit._core.manifest import SUMS
from stfmkit.bm.model_contenders import ModelContender
from stfmkit.bm.score_table import OBSERVATIONS, TABLE, primary_of
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.bm.tasks.niche_probe import NicheProbe
from stfmkit.evaluation.metric_keys import facts_of, rows_of

PLACE = ["metric", "setting", "sample", "niche"]


def run(adata, contenders=("hvg_pca",), **options):
    protocol = options.pop("protocol", None) or make_protocol()
    return sk.bm.run(adata, contenders, protocol=protocol, show_progress=False, **options)


def fingerprint(adata):
    import hashlib
    import pickle

    parts = (adata.X.data.tobytes(), adata.obs.to_json(), adata.var.to_json(), sorted(adata.obsm), sorted(adata.uns))
    return hashlib.sha256(pickle.dumps(parts)).hexdigest()


def equal(a, b):
    pd.testing.assert_frame_equal(a.table.drop(columns="seconds"), b.table.drop(columns="seconds"))
    pd.testing.assert_frame_equal(a.observations, b.observations)


class TestTable:
    def test_schema(self, results):
        assert {k: str(v) for k, v in results.table.dtypes.items()}.keys() == TABLE.keys()
        assert list(results.table.columns) == list(TABLE)
        assert list(results.observations.columns) == list(OBSERVATIONS)
        assert results.table["fold"].dtype == np.int64
        assert results.table["value"].dtype == np.float64
        assert results.table["protocol_id"].unique().tolist() == [results.protocol_id]

    def test_every_patient_is_scored_once_in_every_task(self, results):
        for task in results.meta["tasks"]:
            part = rows_of(results.table, task, primary_of(results.meta, task))
            part = part[part["contender"] == "hvg_pca"]
            assert set(part["patient"]) == {"P0", "P1", "P2", "P3"}
            keys = ["patient", "sample", "gene", "niche"]
            assert not part.duplicated(keys).any()

    def test_every_observation_is_predicted_once(self, results):
        probe = results.observations.query("task == 'niche_probe' and contender == 'hvg_pca'")
        assert probe["obs_name"].is_unique
        assert len(probe) == 240
        assert (probe["score"] == (probe["truth"] == probe["predicted"])).all()

    def test_scores_are_those_of_the_predictions(self, results):
        from sklearn.metrics import balanced_accuracy_score, f1_score

        observations = results.observations[results.observations["task"] == "niche_probe"]
        table = results.table[(results.table["task"] == "niche_probe") & (results.table["setting"] == "probe=linear")]
        for (name, sample), part in observations.groupby(["contender", "sample"]):
            row = table[(table["contender"] == name) & (table["sample"] == sample)].set_index("metric")["value"]
            expected = f1_score(part["truth"], part["predicted"], labels=part["truth"].unique(), average="macro")
            assert row["macro_f1"] == pytest.approx(expected)
            expected = balanced_accuracy_score(part["truth"], part["predicted"])
            assert row["balanced_accuracy"] == pytest.approx(expected)

    def test_controls_are_ordered(self, results):
        for task, facts in results.meta["tasks"].items():
            primary = primary_of(results.meta, task)
            of = rows_of(results.table, task, primary).groupby("contender")["value"].mean()
            assert facts_of(results.meta["metrics"], primary)["higher_is_better"]
            for negative in facts["negatives"]:
                assert of[facts["positive"]] > of[negative], (task, negative)

    def test_expression_models_beat_depth_and_place(self, results):
        rank = results.rank("niche_probe").set_index("contender")["mean"]
        assert rank["hvg_pca"] > 0.8
        assert rank["hvg_pca"] > rank["coordinates"] + 0.2
        assert rank["hvg_pca"] > rank["library_size"] + 0.2


class TestHonesty:
    def test_caller_is_not_changed(self, cohort):
        before = fingerprint(cohort)
        run(cohort, tasks=["niche_probe", "expression"])
        assert fingerprint(cohort) == before

    def test_same_seed_same_bits_whatever_the_processes(self, cohort):
        one = run(cohort, ["hvg_pca", "random_smooth"], n_jobs=1)
        two = run(cohort, ["random_smooth", "hvg_pca"], n_jobs=2)
        equal(one, two)
        assert one.protocol_id == two.protocol_id

    def test_other_seed_other_protocol(self, cohort):
        one = run(cohort, tasks=["domains"])
        other = run(cohort, tasks=["domains"], protocol=make_protocol(rng=1))
        assert one.protocol_id != other.protocol_id
        changed = cohort.copy()
        changed.X[0, 0] += 1
        assert run(changed, tasks=["domains"]).protocol_id != one.protocol_id

    def test_models_never_see_targets_or_test_patients(self, cohort):
        seen = []

        class Spy(sk.models.EmbeddingModel):
            card = sk.models.ModelCard(
                name="spy", target="x:Y", family="baseline", summary="looks", needs=("counts", "coordinates"), fits=True
            )

            def fit(self, block):
                seen.append(("fit", frozenset(block.obs_names), frozenset(block.genes)))
                return self

            def prepare(self, block):
                return block

            def encode(self, block):
                seen.append(("encode", frozenset(block.obs_names), frozenset(block.genes)))
                return np.log1p(np.asarray(block.read("counts").sum(axis=1))).reshape(-1, 1)

        results = run(cohort, [Spy()], tasks=["expression"])
        patient = cohort.obs["patient"].astype(str)
        targets = {frozenset(facts["target_genes"]) for facts in results.meta["folds"].values()}
        fits = [names for what, names, _ in seen if what == "fit"]
        assert len(fits) == 4
        for names in fits:
            assert len(set(patient[list(names)])) == 3
        for what, names, genes in seen:
            assert frozenset(cohort.var_names) - genes in targets
            assert len(set(patient[list(names)])) == (3 if what == "fit" else len(set(patient[list(names)])))
        encoded = [set(patient[list(names)]) for what, names, _ in seen if what == "encode"]
        assert sorted(map(len, encoded)) == [1] * 4 + [3] * 4  # never both sides at once

    def test_targets_do_not_depend_on_test_patients(self, cohort):
        results = run(cohort, tasks=["expression"])
        fold = int(results.table.query("patient == 'P0' and task == 'expression'")["fold"].iloc[0])
        noisy = cohort.copy()
        rows = np.flatnonzero(noisy.obs["patient"] == "P0")
        dense = noisy.X.toarray()
        dense[rows] = np.random.default_rng(1).permuted(dense[rows], axis=1) + 1
        from scipy import sparse

        noisy.X = sparse.csr_matrix(dense)
        again = run(noisy, tasks=["expression"])
        assert results.meta["folds"][str(fold)] == again.meta["folds"][str(fold)]

    def test_a_model_object_is_not_fitted(self, cohort):
        model = sk.models.load_model("hvg_pca")
        before = dict(vars(model))
        run(cohort, {"mine": model}, tasks=["domains"])
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[k] is v for k, v in before.items())

    def test_object_and_name_agree(self, cohort):
        results = run(cohort, {"name": "hvg_pca", "object": sk.models.load_model("hvg_pca")}, tasks=["niche_probe"])
        wide = results.table.pivot_table(
            index=["metric", "setting", "sample", "niche"], columns="contender", values="value"
        )
        np.testing.assert_array_equal(wide["name"], wide["object"])

    def test_embeddings_from_elsewhere(self, cohort):
        z = sk.tl.embed(cohort, "library_size", sample_key="sample", copy=True)
        cohort.obsm["X_mine"] = z
        results = run(cohort, {"a": "X_mine", "b": z, "c": "library_size"}, tasks=["niche_probe"])
        wide = results.table.pivot_table(
            index=["metric", "setting", "sample", "niche"], columns="contender", values="value"
        )
        np.testing.assert_array_equal(wide["a"], wide["c"])
        np.testing.assert_array_equal(wide["b"], wide["c"])

    def test_unlabelled_observations_are_used_for_nothing_that_needs_labels(self, cohort):
        labels = cohort.obs["niche"].astype(object)
        labels[cohort.obs["patient"] == "P3"] = np.nan
        cohort.obs["niche"] = labels
        results = run(cohort)
        table = results.table
        assert "P3" not in set(table[table["task"] != "expression"].query("task != 'coexpression'")["patient"])
        assert "P3" in set(table.query("task == 'expression'")["patient"])

    def test_options_reach_models(self, cohort):
        results = run(cohort, {"small": ("hvg_pca", {"n_components": 2})}, tasks=["domains"])
        assert "n_components" in results.meta["contenders"]["small"]["options"]
        with pytest.raises((InputError, MissingKeyError), match="n_component"):
            run(cohort, {"small": ("hvg_pca", {"n_component": 2})}, tasks=["domains"])


class TestResume:
    def test_finished_work_is_reused(self, cohort, tmp_path, monkeypatch):
        first = run(cohort, out=tmp_path / "r")

        def never(*_, **__):
            raise AssertionError

        for task in catalogue.entries().values():
            for verb in ("predict", "score", "controls", "ceiling"):
                monkeypatch.setattr(type(task), verb, never)
        monkeypatch.setattr(ModelContender, "output", never)
        second = run(cohort, out=tmp_path / "r")
        equal(first, second)
        loaded = sk.bm.Results.load(tmp_path / "r")
        equal(first, loaded)

    def test_an_interrupted_run_goes_on(self, cohort, tmp_path, monkeypatch):
        real, calls = NicheProbe.predict, []

        def stops(self, output, truth):
            calls.append(truth.fold.number)
            if len(calls) == 9:
                raise KeyboardInterrupt
            return real(self, output, truth)

        monkeypatch.setattr(NicheProbe, "predict", stops)
        with pytest.raises(KeyboardInterrupt):
            run(cohort, tasks=["niche_probe"], out=tmp_path / "r")
        before = len(calls)
        monkeypatch.setattr(NicheProbe, "predict", lambda *a: (calls.append(1), real(*a))[1])
        again = run(cohort, tasks=["niche_probe"], out=tmp_path / "r")
        monkeypatch.setattr(NicheProbe, "predict", real)
        fresh = run(cohort, tasks=["niche_probe"])
        equal(again, fresh)
        assert len(calls) - before == 4 * 4 - (before - 1)  # two controls and two contenders in four folds

    def test_another_task_finds_the_outputs_of_the_first(self, cohort, tmp_path, monkeypatch):
        run(cohort, tasks=["niche_probe"], out=tmp_path / "r")

        def never(*_, **__):
            raise AssertionError

        monkeypatch.setattr(ModelContender, "output", never)
        run(cohort, tasks=["domains"], out=tmp_path / "r")

    def test_damaged_work_is_done_again(self, cohort, tmp_path):
        first = run(cohort, tasks=["domains"], out=tmp_path / "r")
        for path in (tmp_path / "r" / "finished").iterdir():
            path.write_bytes(path.read_bytes()[:-3])
        equal(first, run(cohort, tasks=["domains"], out=tmp_path / "r"))

    def test_nothing_of_others_is_overwritten(self, cohort, tmp_path, monkeypatch):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work")
        with pytest.raises(InputError, match="thesis"):
            run(cohort, tasks=["domains"], out=tmp_path / "mine")
        run(cohort, tasks=["domains"], out=tmp_path / "r")
        with pytest.raises(InputError, match="protocol"):
            run(cohort, tasks=["domains"], out=tmp_path / "r", protocol=make_protocol(rng=5))
        (tmp_path / "r" / SUMS).unlink()
        (tmp_path / "r" / "results.json").write_text('{"format": 1}')
        monkeypatch.setattr("stfmkit.bm._run.group_tasks", lambda *_: pytest.fail("work before the folder was read"))
        with pytest.raises(InputError, match="format 1"):
            run(cohort, tasks=["domains"], out=tmp_path / "r")
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="which is no folder"):
            run(cohort, tasks=["domains"], out=tmp_path / "file")


class TestBadInput:
    """Each is a clear error before any long work."""

    @pytest.fixture(autouse=True)
    def _no_work(self, monkeypatch):
        def never(*_, **__):
            raise AssertionError

        monkeypatch.setattr("stfmkit.bm.work.Work.done", never)

    def test_unknown_model_suggests(self, cohort):
        with pytest.raises(MissingKeyError, match="Did you mean 'hvg_pca'"):
            run(cohort, ["hvgpca"])

    def test_missing_weights(self, cohort, tmp_path):
        with pytest.raises(MissingFileError, match="there is no such file or folder"):
            run(cohort, {"a": ("scgpt", {"weights": tmp_path / "nowhere"})})

    @pytest.mark.parametrize("contenders", [[], ["hvg_pca", "hvg_pca"], {"control:x": "hvg_pca"}])
    def test_names_of_contenders(self, cohort, contenders):
        with pytest.raises(InputError, match="distinct names"):
            run(cohort, contenders)

    def test_types_of_contenders(self, cohort):
        with pytest.raises(InputTypeError, match="a list of names"):
            run(cohort, "hvg_pca")
        with pytest.raises(InputTypeError, match=r"a class under sk\.models\.EmbeddingModel"):
            run(cohort, [3])

    def test_arrays(self, cohort):
        with pytest.raises(InputError, match=r"\(240, d\)"):
            run(cohort, {"short": np.zeros((10, 2))})
        with pytest.raises(InputError, match="NaN"):
            run(cohort, {"broken": np.full((240, 2), np.nan)})

    def test_patients(self, cohort):
        one = cohort[cohort.obs["patient"] == "P0"].copy()
        with pytest.raises(InputError, match="SpatialBlockKFold"):
            run(one)
        cohort.obs["patient"] = cohort.obs["patient"].astype(object)
        cohort.obs.iloc[0, cohort.obs.columns.get_loc("patient")] = np.nan
        with pytest.raises(InputError, match="1 of 240 observations without an id"):
            run(cohort)

    def test_counts(self, cohort):
        cohort.layers["log"] = np.log1p(cohort.X)
        with pytest.raises(InputError, match="not integers"):
            run(cohort, protocol=make_protocol(layer="log"))
        cohort.X[0, 0] = -1
        with pytest.raises(InputError, match="negative"):
            run(cohort)

    def test_empty_genes_and_observations(self, cohort):
        dense = cohort.X.toarray()
        dense[:, 3] = 0
        cohort.X = dense
        with pytest.raises(InputError, match="1 target_genes without any count: 'G3'"):
            run(cohort, protocol=make_protocol(target_genes=["G1", "G3"]))
        silent = [f for f in sk.bm.audit(cohort, make_protocol()) if f.check == "genes without any count"]
        assert silent[0].severity == "warning"
        assert "'G3'" in silent[0].evidence
        dense[5] = 0
        cohort.X = dense
        with pytest.raises(InputError, match="spot5"):
            run(cohort)

    def test_one_class_in_a_fold(self, cohort):
        labels = np.where(cohort.obs["patient"] == "P0", cohort.obs["niche"].astype(str), "stroma")
        cohort.obs["niche"] = labels
        with pytest.raises(InputError, match="training part of fold"):
            run(cohort)

    def test_coordinates(self, cohort):
        cohort.obsm["spatial"][1] = cohort.obsm["spatial"][0]
        with pytest.raises(InputError, match="share their coordinates"):
            run(cohort)
        cohort.obsm["spatial"][1] = np.nan
        with pytest.raises(InputError, match="NaN"):
            run(cohort)

    def test_units(self, cohort):
        del cohort.uns["stfmkit"]
        with pytest.raises(UnitsError, match="microns_per_unit"):
            run(cohort, protocol=make_protocol(split=sk.pp.SpatialBlockKFold(block=200, buffer=10)))

    def test_tasks(self, cohort):
        with pytest.raises(MissingKeyError, match="Did you mean 'niche_probe'"):
            run(cohort, tasks=["niche-probe"])
        with pytest.raises(InputError, match="'domains' without a label"):
            run(cohort, tasks=["domains"], protocol=make_protocol(label_key=None))

    def test_targets(self, cohort):
        with pytest.raises(InputError, match="unknown names"):
            run(cohort, protocol=make_protocol(target_genes=["G1", "nope"]))
        with pytest.raises(InputError, match="all 60 genes"):
            run(cohort, protocol=make_protocol(target_genes=list(cohort.var_names)))

    def test_label_key_is_suggested(self, cohort):
        with pytest.raises(MissingKeyError, match="Did you mean 'niche'"):
            run(cohort, protocol=make_protocol(label_key="nich"))


def test_spatialdata_gives_the_same_numbers(cohort):
    import spatialdata as sd

    boxed = sd.SpatialData(tables={"spots": sd.models.TableModel.parse(cohort.copy())})
    equal(run(cohort, tasks=["niche_probe"]), run(boxed, tasks=["niche_probe"], table_key="spots"))


def test_fixed_targets_and_raw_scale(cohort):
    protocol = make_protocol(target_genes=["G1", "G2", "G3", "G4", "G5", "G6", "G7"], scale="log1p")
    results = run(cohort, tasks=["expression"], protocol=protocol)
    scored = results.table.query("metric == 'pearson' and status == 'scored'")
    scored = scored[~scored["contender"].str.contains(" + ", regex=False)]  # those that check metrics are means
    assert set(scored["gene"]) == {f"G{i}" for i in range(1, 8)}


def test_depth_carries_raw_counts_but_not_normalised_ones():
    """With no biology at all, library size predicts log1p of raw counts and hardly that of normalised counts."""
    cohort = make_cohort(per_patient=150, seed=3)
    rng = np.random.default_rng(0)
    depth = rng.lognormal(0, 0.7, size=(cohort.n_obs, 1))
    cohort.X = rng.poisson(depth * np.exp(rng.normal(1, 0.3, size=cohort.n_vars))).astype(np.float32) + np.eye(
        cohort.n_obs, cohort.n_vars, dtype=np.float32
    )
    cohort.X[:, 0] += 1
    genes = [f"G{i}" for i in range(10, 30)]
    score = {}
    for scale in ("log1p", "size_factor_log1p"):
        protocol = make_protocol(target_genes=genes, scale=scale, label_key=None)
        results = run(cohort, ["library_size"], tasks=["expression"], protocol=protocol)
        score[scale] = results.rank("expression", "pearson")["mean"].iloc[0]
    assert score["log1p"] > 0.5
    assert score["size_factor_log1p"] < 0.25
