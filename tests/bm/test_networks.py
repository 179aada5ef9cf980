"""Networks as contenders: the untrained twin, weights on disk, and what is embedded once only."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from anndata import AnnData

import stfmkit as sk
from stfmkit.models.catalogue import MODELS
from stfmkit.models.nets.network import Network

PROTOCOL = sk.bm.Protocol(patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(4))


@pytest.fixture
def tiny() -> Iterator[str]:
    """The smallest network, registered for one test."""
    from tests.models.zoo._tiny import CARD

    MODELS.add(replace(CARD, name="tiny"))
    yield "tiny"
    MODELS.remove("tiny")


def test_an_untrained_network_is_a_contender(toy: AnnData, tiny: str, tmp_path: Path) -> None:
    protocol = replace(PROTOCOL, n_target_genes=8)
    contenders = {"untrained": (tiny, {"weights": "random"}), "library_size": "library_size"}
    results = sk.bm.run(toy, contenders, protocol=protocol, out=tmp_path, show_progress=False)
    assert {"untrained", "library_size"} <= set(results.table["contender"])
    assert len(list((tmp_path / "finished").glob("*.entry"))) > 0
    again = sk.bm.run(toy, contenders, protocol=protocol, show_progress=False)
    columns = ["task", "metric", "setting", "contender", "fold", "patient", "gene", "value"]
    a, b = (r.table.loc[r.table["contender"] == "untrained", columns].reset_index(drop=True) for r in (results, again))
    assert a.drop(columns="value").equals(b.drop(columns="value"))
    assert (a["value"] - b["value"]).abs().max() < 1e-4  # kept or computed anew, whole or fold by fold


@pytest.mark.parametrize("kept", [True, False])
def test_the_network_embeds_the_same_rows_once(
    toy: AnnData, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    rows: list[int] = []
    encode = Network.encode
    monkeypatch.setattr(Network, "encode", lambda self, batch: rows.append(batch.n_obs) or encode(self, batch))
    sk.bm.run(
        toy,
        {"untrained": (tiny, {"weights": "random"})},
        protocol=PROTOCOL,
        tasks=["niche_probe", "domains"],
        out=tmp_path if kept else None,
        show_progress=False,
    )
    assert sum(rows) == toy.n_obs  # folds and tasks share what is embedded, on disk or in memory


def test_columns_that_options_name_reach_the_model(toy: AnnData, tiny: str) -> None:
    toy.var["other"] = [f"H{i}" for i in range(toy.n_vars)]
    with pytest.raises(sk.errors.MissingKeyError, match="gene_key='nothing'"):
        sk.bm.run(
            toy,
            {"u": (tiny, {"weights": "random", "gene_key": "nothing"})},
            protocol=PROTOCOL,
            show_progress=False,
        )
