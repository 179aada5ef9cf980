"""What all networks share, on the smallest network that there is."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from safetensors.torch import load_file
from scipy import sparse
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._tiny import GENES, Tiny, block_of, embedded
from torch import nn

import stfmkit as sk
from stfmkit.errors import InputError, StfmkitWarning
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.files import Files


def test_it_equals_torch_s_own_layers(folder: Path, cells: AnnData) -> None:
    state = load_file(folder / "tiny.safetensors")
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    peer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    peer.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")})
    ours = embedded(cells.copy(), weights=folder)
    counts = cells.to_df()[GENES].to_numpy()
    for row in range(cells.n_obs):
        order = np.argsort(-counts[row], kind="stable")[: min(16, int((counts[row] > 0).sum()))]
        states = peer(state["embeddings.weight"][torch.from_numpy(order.copy() + 1)][None])
        assert_parity(ours[row], states[0].mean(0).detach().numpy())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_size_of_a_batch_does_not_matter(folder: Path, cells: AnnData, batch_size: int) -> None:
    whole = embedded(cells, weights=folder)
    assert_parity(embedded(cells, weights=folder, batch_size=batch_size), whole)


def test_a_random_twin_follows_from_seed_and_names_alone(cells: AnnData) -> None:
    first = embedded(cells, weights="random", rng=3)
    np.testing.assert_array_equal(first, embedded(cells, weights="random", rng=3))
    assert np.abs(first - embedded(cells, weights="random", rng=4)).max() > 1e-3
    fewer = cells[:, 5:].copy()
    model = Tiny(weights="random", rng=3)
    sk.tl.embed(cells, model, key_added="X_all")
    sk.tl.embed(fewer, model, key_added="X_few")  # a subset of the vocabulary that the twin knows
    assert_parity(fewer.obsm["X_few"], embedded(fewer, weights="random", rng=3))


def test_the_contract_holds(cells: AnnData) -> None:
    sk.testing.check_model(lambda: Tiny(weights="random", rng=0), block=block_of(cells))


def test_torch_s_own_random_state_stays(cells: AnnData) -> None:
    before = torch.random.get_rng_state()
    embedded(cells, weights="random")
    assert torch.equal(before, torch.random.get_rng_state())


def test_provenance_names_files_and_coverage(folder: Path, cells: AnnData) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), key_added="X_tiny")
    facts = cells.uns["stfmkit"]["embed"]["results"]["X_tiny"]
    assert set(facts["provenance"]["sha256"]) == {"genes.json", "tiny.safetensors"}
    assert facts["gene_coverage"] == {"n_genes": 30, "genes": 1.0, "counts": 1.0}
    assert facts["provenance"]["untrained"] is False


def test_results_survive_a_round_trip(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), key_added="X_tiny")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert back.uns["stfmkit"]["embed"]["results"]["X_tiny"]["provenance"]["sha256"]["genes.json"]


def test_a_table_on_disk_is_embedded_part_by_part(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert_parity(embedded(backed, weights=folder), embedded(cells, weights=folder))


def test_a_run_that_was_stopped_goes_on(
    folder: Path, cells: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embedded(cells, weights=folder)
    calls: list[int] = []
    encode = Tiny.encode

    def counted(self: Tiny, batch: Tokens) -> np.ndarray:
        calls.append(batch.n_obs)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(self, batch)

    monkeypatch.setattr(Tiny, "encode", counted)
    with pytest.raises(KeyboardInterrupt):
        sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path / "parts")
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path / "parts", key_added="X_again")
    assert calls == [5, 5, 5, 2]  # the first part was not computed again
    np.testing.assert_array_equal(cells.obsm["X_again"], whole)
    cells.X.data[0] += 1
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path / "parts", key_added="X_other")
    assert calls[4:] == [5]  # only the part that changed


def test_finished_parts_count_in_the_coverage(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    cells.var_names = [*cells.var_names[:20], *gene_ids(10, start=900)]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    found = []
    for _ in range(2):
        backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
        sk.tl.embed(backed, Tiny(weights=folder), resume=tmp_path / "parts", key_added="X_a")
        found.append(backed.uns["stfmkit"]["embed"]["results"]["X_a"]["gene_coverage"])
    assert found[1] == found[0]
    assert found[0]["n_genes"] == 20


def test_parts_need_a_folder(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="which is no folder"):
        sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path / "file")
    with pytest.raises(InputError, match="resume= with output='genes'"):
        sk.tl.embed(cells, "scgpt", weights="random", output="genes", resume=tmp_path)


def test_a_damaged_part_is_computed_again(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path, key_added="X_a")
    for part in tmp_path.glob("*.entry"):
        held = bytearray(part.read_bytes())
        held[-1] ^= 1
        part.write_bytes(bytes(held))
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path, key_added="X_b")
    np.testing.assert_array_equal(cells.obsm["X_a"], cells.obsm["X_b"])


def test_cells_without_a_known_gene(folder: Path, cells: AnnData) -> None:
    cells = cells[:, [*GENES[:15]]].copy()
    more = pd.DataFrame(index=["ENSG99999999999"])
    wide = AnnData(np.c_[cells.X.toarray(), np.ones(cells.n_obs)], obs=cells.obs, var=pd.concat([cells.var, more]))
    wide.X[2, :15] = 0
    with pytest.raises(InputError, match=r"1 of 5 observations have no count of a gene that 'tiny' knows: 'cell2'"):
        embedded(wide[:5].copy(), weights=folder)
    wide.X[11, :15] = 0
    with pytest.raises(InputError, match=r"2 of 12 observations have no count .* knows: 'cell2', 'cell11'"):
        embedded(wide, weights=folder)  # of the whole table, not of its first part
    values = embedded(wide, weights=folder, on_empty="zero")
    assert (values[2] == 0).all()
    assert np.abs(values[[0, 1, 3]]).min(axis=0).any()


def test_whole_parts_without_a_known_gene(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    whole = embedded(cells, weights=folder)
    gone = np.isin(np.arange(cells.n_obs) // Tiny.rows_per_part, [0, 2])
    cells.X = sparse.csr_matrix(cells.X.multiply(~gone[:, None]))
    wanted = np.where(gone[:, None], 0, whole)
    with pytest.raises(InputError, match=r"7 of 12 observations have no count of a gene that 'tiny' knows: 'cell0'"):
        embedded(cells, weights=folder)
    assert_parity(embedded(cells, weights=folder, on_empty="zero"), wanted)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for _ in range(2):
        sk.tl.embed(backed, Tiny(weights=folder, on_empty="zero"), resume=tmp_path / "parts", key_added="X_b")
        assert_parity(backed.obsm.pop("X_b"), wanted)
    none = cells[gone].copy()
    with pytest.raises(InputError, match=r"none of the 7 observations has a count of a gene that 'tiny' knows"):
        embedded(none, weights=folder, on_empty="zero")
    model = Tiny(weights=folder, on_empty="zero")
    with pytest.raises(InputError, match="no observation with a known gene"):
        model.encode(model.prepare(block_of(none)))


def test_coverage_is_told_at_the_first_part_with_a_known_gene(folder: Path) -> None:
    cells = synthetic_counts(GENES[:10] + gene_ids(40, start=100))
    cells.X = sparse.csr_matrix(cells.X.multiply(np.arange(cells.n_obs)[:, None] >= Tiny.rows_per_part))
    with pytest.warns(StfmkitWarning, match=r"'tiny' sees 10 of 50 genes") as told:
        embedded(cells, weights=folder, on_empty="zero")
    assert len(told) == 1
    assert "0% of the counts" not in str(told[0].message).replace("10%", "").replace("20%", "")


def test_another_kind_of_names_and_a_table(folder: Path, cells: AnnData) -> None:
    table = pd.DataFrame({"symbol": [f"G{i}" for i in range(30)], "ensembl": [f"{g}.3" for g in GENES]})
    whole = embedded(cells.copy(), weights=folder)
    renamed = cells.copy()
    renamed.var["id"] = renamed.var_names
    renamed.var_names = [f"G{GENES.index(name)}" for name in renamed.var_names]
    with pytest.raises(InputError, match="gene names of the kind 'symbol'"):
        embedded(renamed, weights=folder)
    np.testing.assert_array_equal(embedded(renamed, weights=folder, gene_key="id"), whole)
    np.testing.assert_array_equal(embedded(renamed, weights=folder, gene_table=table), whole)


def test_a_gene_without_a_name_is_none(cells: AnnData) -> None:
    cells.var["id"] = [None if i < 3 else name for i, name in enumerate(cells.var_names)]
    sk.tl.embed(cells, Tiny(weights="random", gene_key="id"), key_added="X_a")
    named = embedded(cells[:, 3:].copy(), weights="random")
    assert_parity(cells.obsm["X_a"], named)
    assert cells.uns["stfmkit"]["embed"]["results"]["X_a"]["gene_coverage"]["n_genes"] == 27


def test_no_gene_in_the_vocabulary(folder: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 4 genes .* is in the vocabulary of 'tiny'"):
        embedded(synthetic_counts(gene_ids(4, prefix="ENSMUSG")), weights=folder)


def test_low_coverage_warns(folder: Path) -> None:
    cells = synthetic_counts(GENES[:10] + gene_ids(40, start=100))
    with pytest.warns(StfmkitWarning, match=r"'tiny' sees 10 of 50 genes"):
        embedded(cells, weights=folder)


def test_logged_data_are_not_counts(folder: Path, cells: AnnData) -> None:
    cells.X = np.log1p(cells.X)
    with pytest.raises(InputError, match="not integers"):
        embedded(cells, weights=folder)


def test_parts_of_other_tables_and_sizes_are_not_taken(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    wide = {f"note{i}": ["x"] * 200 for i in range(30)}  # a printed form would show the ends of this table only
    tables = [pd.DataFrame({"symbol": [f"G{i}" for i in range(200)], "ensembl": GENES + ["ENSG1"] * 170, **wide})]
    tables.append(tables[0].copy())
    tables[1].loc[[20, 21], "symbol"] = ["G21", "G20"]
    cells.var_names = [f"G{GENES.index(name)}" for name in cells.var_names]
    found = []
    for table in tables:
        sk.tl.embed(cells, Tiny(weights=folder, gene_table=table), resume=tmp_path / "parts", key_added="X_t")
        found.append(cells.obsm.pop("X_t"))
    assert np.abs(found[0] - found[1]).max() > 1e-6


def test_parts_of_another_gene_table_of_the_same_name_are_not_taken(
    folder: Path, cells: AnnData, tmp_path: Path
) -> None:
    path = tmp_path / "genes.csv"
    symbols = [f"G{i}" for i in range(30)]
    cells.var_names = [f"G{GENES.index(name)}" for name in cells.var_names]
    found = []
    for order in (symbols, symbols[::-1]):
        pd.DataFrame({"symbol": order, "ensembl": GENES}).to_csv(path, index=False)
        sk.tl.embed(cells, Tiny(weights=folder, gene_table=path), resume=tmp_path / "parts", key_added="X_t")
        found.append(cells.obsm.pop("X_t"))
    assert np.abs(found[0] - found[1]).max() > 1e-6


def test_files_are_hashed_once_and_told_apart(tmp_path: Path) -> None:
    files = Files()
    for place in (tmp_path, tmp_path / "pooling"):
        place.mkdir(exist_ok=True)
        (place / "config.json").write_text(place.name)
        files.find(place, "config.json", what="m")
    first = files.checksums()
    assert set(first) == {f"{tmp_path.name}:config.json", "pooling:config.json"}
    (tmp_path / "config.json").write_text("changed")
    assert files.checksums() == first  # what was loaded, not what lies there now
