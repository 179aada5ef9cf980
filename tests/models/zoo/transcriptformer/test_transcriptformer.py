"""TranscriptFormer against its original: tokens, layers and embeddings, and what it refuses."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, MissingKeyError, StfmkitWarning
from stfmkit.models.zoo.transcriptformer.model import TranscriptFormer
from stfmkit.models.zoo.transcriptformer.net import CausalAttention

ASSAYS = ("unknown", "10x 3' v3", "10x 5' v2", "Visium Spatial Gene Expression", "not in the vocabulary")
TINY = {"embed_dim": 8, "model_dim": 8, "num_heads": 2, "num_layers": 2, "gene_dim": 8, "seq_len": 40}
PUBLISHED = DATA / "transcriptformer"

strange_assay = pytest.mark.filterwarnings("ignore:'transcriptformer' does not know the assays")
partly_known = pytest.mark.filterwarnings("ignore:.* of the counts. most of the data are outside its vocabulary")


def with_assays(cells: AnnData) -> AnnData:
    """Add the assays of the fixture."""
    cells.obs["assay"] = np.array(ASSAYS)[np.arange(cells.n_obs) % 5]
    return cells


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return with_assays(synthetic_counts(gene_ids(215), n_obs=12, seed=4, density=0.5))


def real(folder: Path) -> AnnData:
    """The real cells of the fixture."""
    cells = ad.read_h5ad(folder / "breast_xenium_roi.h5ad")[::420][:40].copy()
    cells.var["ensembl_id"] = [f"{gene}.{i % 3}" for i, gene in enumerate(gene_ids(cells.n_vars, start=41))]
    return with_assays(cells)


def embedded(cells: AnnData, *, weights: Path | str = PUBLISHED, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    options = {"assay_key": "assay"} | options
    sk.tl.embed(cells, "transcriptformer", weights=weights, **options)
    return cells.obsm["X_transcriptformer"]


FISH = PUBLISHED / "all_embeddings/danio_rerio_gene.h5"


def fish() -> AnnData:
    """The cells of the fixture of a species that the checkpoint lacks, with five genes that the checkpoint has."""
    genes = [*gene_ids(50, prefix="ENSDARG"), *gene_ids(5)]
    return with_assays(synthetic_counts(genes, n_obs=8, seed=8))


def padded(values: np.ndarray, lengths: np.ndarray, *, pad: float) -> np.ndarray:
    """Return ragged values as (n_obs, 63)."""
    out = np.full((len(lengths), 63), pad)
    out[np.arange(63) < lengths[:, None]] = values
    return out


def check_parity(case: str, cells: AnnData, **options: Any) -> None:
    """Compare tokens, the first layer and the embedding with those of the original."""
    wanted = np.load(PUBLISHED / f"{case}.npz")
    model = TranscriptFormer(weights=PUBLISHED, assay_key="assay", **options)
    block = block_for(cells, model)
    tokens = model.prepare(block)
    np.testing.assert_array_equal(padded(tokens.ids, tokens.lengths, pad=5), wanted["tokens"])
    np.testing.assert_array_equal(padded(tokens.values, tokens.lengths, pad=0), wanted["counts"])
    np.testing.assert_array_equal(tokens.rows["assay"], wanted["aux"][:, 0])
    states = model.module.states(model.collate(tokens.take(np.arange(5))), start=1, unknown=0)
    length = min(40, states[1].shape[1])
    seen = np.arange(1, length)[None, :] <= tokens.lengths[:3, None]  # the assay token of the first cell is masked
    assert_parity(states[1][:3, 1:length][seen], wanted["layer1"][:, 1:length][seen])
    assert_parity(embedded(cells, **options), wanted["embedding"])


@strange_assay
def test_tokens_layers_and_embeddings_are_those_of_the_original() -> None:
    check_parity("synthetic", synthetic())


@strange_assay
@partly_known
@pytest.mark.real_data
def test_real_cells_as_in_the_original(real_data: Path) -> None:
    check_parity("real", real(real_data), gene_key="ensembl_id")


@strange_assay
def test_the_vectors_of_another_species_as_in_the_original() -> None:
    check_parity("fish", fish(), pretrained_embedding=FISH)
    check_parity("fish", fish(), pretrained_embedding="danio_rerio_gene.h5")
    cells = fish()[:4].copy()
    options = {"assay_key": "assay", "pretrained_embedding": str(FISH)}
    sk.tl.embed(cells, "transcriptformer", weights=PUBLISHED, output="genes", **options)
    found = pd.DataFrame(cells.varm["X_transcriptformer"], index=cells.var_names)
    wanted = contextual("fish")
    assert_parity(found.loc[wanted.index], wanted)
    assert found.drop(index=wanted.index).isna().all(axis=None)
    embedded(cells, **options)
    facts = cells.uns["stfmkit"]["embed"]["results"]["X_transcriptformer"]
    assert "danio_rerio_gene.h5" in facts["provenance"]["sha256"]
    assert facts["gene_coverage"]["n_genes"] == 40


def write_vectors(path: Path, vectors: dict[str, np.ndarray], *, keys: list[str] | None = None) -> Path:
    """Write a file of protein vectors."""
    with h5py.File(path, "w") as file:
        file.create_dataset("keys", data=np.array(list(vectors) if keys is None else keys, dtype="S"))
        for name, row in vectors.items():
            file[f"arrays/{name}"] = row
    return path


def read_fish() -> dict[str, np.ndarray]:
    """Return the vectors of the fixture."""
    with h5py.File(FISH) as file:
        return {key.decode(): file["arrays"][key.decode()][:] for key in file["keys"][:]}


@strange_assay
def test_vectors_in_several_files_and_in_a_pickle(tmp_path: Path) -> None:
    wanted, vectors = embedded(fish(), pretrained_embedding=FISH), list(read_fish().items())
    first = write_vectors(tmp_path / "a.h5", dict(vectors[:25]))
    second = tmp_path / "b.pkl"
    again = {name: row + 1 for name, row in vectors[10:25]}  # in both files: the first counts
    second.write_bytes(pickle.dumps({**again, **dict(vectors[25:])}))
    np.testing.assert_array_equal(embedded(fish(), pretrained_embedding=[first, second]), wanted)
    other = embedded(fish(), pretrained_embedding=[second, first])
    assert np.abs(other - wanted).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (cut, "a file of protein vectors"),
        (
            lambda path: write_vectors(path, {"ENSDARG1": np.ones(7)}),
            r"vectors of shape \(7,\), for a model of width 8",
        ),
        (lambda path: write_vectors(path, {"ENSDARG1": np.full(8, np.nan)}), "not finite"),
        (lambda path: write_vectors(path, {"ENSDARG1": np.ones(8)}, keys=["ENSDARG2"]), "a vector of every name"),
        (lambda path: write_vectors(path, {"x": np.ones(8)}, keys=[]), "with no vector"),
    ],
)
def test_vectors_that_are_not_right(tmp_path: Path, change: Callable[[Path], Any], match: str) -> None:
    path = tmp_path / "fish.h5"
    path.write_bytes(FISH.read_bytes())
    change(path)
    with pytest.raises(InputError, match=match):
        embedded(fish(), pretrained_embedding=path)


def test_vectors_that_are_not_there_or_without_use(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no nowhere\.h5 for 'transcriptformer'"):
        embedded(fish(), pretrained_embedding=tmp_path / "nowhere.h5")
    with pytest.raises(InputError, match="none of the 50 genes"):
        embedded(fish()[:, fish().var_names.str.startswith("ENSD")].copy())
    with pytest.raises(InputError, match="pretrained_embedding= for random weights"):
        embedded(fish(), weights="random", pretrained_embedding=FISH, config=TINY)
    bomb = tmp_path / "bomb.pkl"
    bomb.write_bytes(pickle.dumps({"a": Bomb(tmp_path / "mark")}))
    with pytest.raises(InputError, match="is not loaded: it names"):
        embedded(fish(), pretrained_embedding=bomb)
    assert not (tmp_path / "mark").exists()


def contextual(case: str) -> pd.DataFrame:
    """Return the mean of the original's contextual vectors of every gene."""
    held = np.load(PUBLISHED / f"{case}.npz")
    return pd.DataFrame(held["genes_embedding"]).groupby(held["genes_of"]).mean()


def test_vectors_of_genes_are_means_of_the_contextual_ones() -> None:
    cells = synthetic()[:4].copy()
    sk.tl.embed(cells, "transcriptformer", weights=PUBLISHED, assay_key="assay", output="genes")
    found = pd.DataFrame(cells.varm["X_transcriptformer"], index=cells.var_names)
    wanted = contextual("synthetic")
    assert_parity(found.loc[wanted.index], wanted)
    assert found.drop(index=wanted.index).isna().all(axis=None)


@strange_assay
@pytest.mark.parametrize("batch_size", [1, 5])
def test_rows_and_batches_do_not_matter(batch_size: int) -> None:
    cells = synthetic()
    rows = np.random.default_rng(0).permutation(cells.n_obs)
    turned = embedded(cells[rows].copy(), batch_size=batch_size)
    assert_parity(turned, embedded(cells)[rows])


@strange_assay
def test_the_order_of_genes_matters_as_the_card_says() -> None:
    cells = synthetic()
    turned = cells[:, np.random.default_rng(0).permutation(cells.n_vars)].copy()
    assert np.abs(embedded(turned) - embedded(cells)).max() > 1e-2
    found = embedded(turned, gene_order="vocabulary")
    np.testing.assert_array_equal(found, embedded(cells, gene_order="vocabulary"))


def test_only_the_assay_of_a_cell_counts() -> None:
    cells = synthetic()
    cells.obs["assay"] = "10x 3' v3"
    np.testing.assert_array_equal(embedded(cells), embedded(cells, assay="10x 3' v3", assay_key=None))
    assert np.abs(embedded(cells, assay="unknown", assay_key=None) - embedded(cells)).max() > 1e-3


def test_an_assay_that_is_not_known_is_said() -> None:
    cells = synthetic()
    with pytest.warns(
        StfmkitWarning, match="does not know the assays 'not in the vocabulary' and takes them as 'unknown'"
    ):
        found = embedded(cells)
    cells.obs["assay"] = cells.obs["assay"].replace("not in the vocabulary", "unknown")
    np.testing.assert_array_equal(found, embedded(cells))


def test_attention_in_parts_is_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = CausalAttention(8, 2, softcap=0.0, bias=False)
    draw = torch.Generator().manual_seed(0)
    x, bias = torch.randn(2, 21, 8, generator=draw), torch.randn(2, 21, generator=draw)
    keep = torch.rand(2, 21, generator=draw) > 0.3
    keep[:, 0] = True
    whole = layer(x, keep=keep, bias=bias)
    monkeypatch.setattr("stfmkit.models.zoo.transcriptformer.net._QUERIES", 4)
    torch.testing.assert_close(layer(x, keep=keep, bias=bias), whole)
    q, k, v = (layer.linears[i](x).view(2, 21, 2, 4).transpose(1, 2) for i in range(3))
    seen = torch.ones(21, 21).tril().bool() & (keep[:, None, None] | torch.eye(21).bool())
    mask = bias[:, None, None].masked_fill(~seen, -torch.inf)
    peer = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(whole, layer.linears[3](peer.transpose(1, 2).reshape(2, 21, 8)))


def test_the_contract_holds_for_a_random_twin() -> None:
    options = {"assay": "unknown", "gene_order": "vocabulary", "config": TINY}
    sk.testing.check_model("transcriptformer", weights="random", **options)


def test_ids_of_flies_are_known_as_they_are(tmp_path: Path) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    flies = [f"FBgn{i:07d}" for i in range(40)]
    path = folder / "vocabs/homo_sapiens_gene.h5"
    with h5py.File(path) as file:
        human = [name.decode() for name in file["keys"][:]]
    with h5py.File(path, "w") as file:
        file.create_dataset("keys", data=np.array([*flies, *human[40:]], dtype="S"))
    cells = synthetic_counts(flies, n_obs=4)
    found = embedded(cells, weights=folder, assay="unknown", assay_key=None)
    renamed = cells.copy()
    renamed.var_names = [dict(zip(flies, human, strict=False))[fly] for fly in cells.var_names]
    np.testing.assert_array_equal(found, embedded(renamed, assay="unknown", assay_key=None))


def test_duplicates() -> None:
    cells = synthetic()[:5, :100].copy()
    names = cells.var_names.to_list()
    cells.var_names = [f"{names[1]}.2" if i == 0 else name for i, name in enumerate(names)]
    options = {"assay": "unknown", "assay_key": None}
    with pytest.raises(InputError, match="stand for a gene of 'transcriptformer' that another gene stands for"):
        embedded(cells, **options)
    found = embedded(cells, remove_duplicate_genes=True, **options)
    np.testing.assert_array_equal(found, embedded(cells[:, [0, *range(2, 100)]].copy(), **options))


# what it refuses


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"assay_key": None}, "(?s)assay=None and assay_key=None .*'unknown', \"10x 3' v3\""),
        ({"assay": "unknown"}, "assay='unknown' and assay_key='assay'"),
        ({"assay": "10x 3' v4", "assay_key": None}, '(?s)assay="10x 3\' v4".*Did you mean "10x 3\' v3"'),
        ({"gene_order": "random"}, "gene_order='random'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), **options)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(MissingKeyError, match="protocol"):
        embedded(synthetic(), assay_key="protocol")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("transformer_encoder.encoder_layers.1.norm2.bias"), "1 missing"),
        (lambda state: state.update(surprise=torch.ones(1)), "1 not known"),
        (
            lambda state: state.update({"aux_embeddings.assay.weight": torch.ones(3, 16)}),
            r"\(3, 16\) instead of \(4, 16\)",
        ),
        (lambda state: state.pop("gene_embeddings.embedding.weight"), "a table of 0 rows"),
    ],
)
def test_a_checkpoint_of_other_tensors(tmp_path: Path, change: Callable[[dict[str, Any]], None], match: str) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    change_state(folder / "model_weights.pt", change)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


def test_the_checkpoint_of_another_model(tmp_path: Path) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    (folder / "model_weights.pt").write_bytes((DATA / "uce/4layer_model.torch").read_bytes())
    with pytest.raises(InputError, match=r"a table of 0 rows, and 7 \+ 220 names"):
        embedded(synthetic(), weights=folder)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("model_weights.pt", "cannot be read"),
        ("config.json", "is not loaded"),
        ("vocabs/assay_vocab.json", "is not loaded"),
        ("vocabs/homo_sapiens_gene.h5", "a file of protein vectors"),
    ],
)
def test_a_truncated_file(tmp_path: Path, name: str, match: str) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    cut(folder / name)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


def test_a_vocabulary_that_is_not_there(tmp_path: Path) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    (folder / "vocabs/mus_musculus_gene.h5").unlink()
    with pytest.raises(MissingFileError, match=r"no mus_musculus_gene\.h5"):
        embedded(synthetic(), weights=folder)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["data_config"]["esm2_mappings"] = ["homo_sapiens_gene.h5"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"a table of 227 rows, and 7 \+ 200 names"):
        embedded(synthetic(), weights=folder)


def test_a_malicious_checkpoint_is_not_executed(tmp_path: Path) -> None:
    folder = copy_of("transcriptformer", tmp_path)
    torch.save({"a": Bomb(tmp_path / "mark")}, folder / "model_weights.pt")
    with pytest.raises(InputError, match="more than tensors and plain values"):
        embedded(synthetic(), weights=folder)
    assert not (tmp_path / "mark").exists()


def test_genes_that_it_does_not_know() -> None:
    options = {"assay": "unknown", "assay_key": None}
    with pytest.raises(InputError, match="none of the 30 genes"):
        embedded(synthetic_counts(gene_ids(30, prefix="ENSDARG")), **options)
    with pytest.raises(InputError, match="gene names of the kind 'symbol'"):
        embedded(synthetic_counts([f"GENE{i}" for i in range(30)]), **options)
