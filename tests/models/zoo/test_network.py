"""What all networks share, on the smallest network that there is."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Unpack

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from safetensors.torch import load_file, save_file
from scipy import sparse
from tests.models.zoo._cases import gene_ids, synthetic_counts
from torch import Tensor, nn

import stfmkit as sk
from stfmkit._kernels._tokens import rank_tokens
from stfmkit.errors import InputError, MissingFileError, StfmkitError, StfmkitWarning
from stfmkit.models._base import Block
from stfmkit.models._genes import GeneVocabulary
from stfmkit.models._mappings import read_mapping
from stfmkit.models._weights import read_state
from stfmkit.models.zoo._encoder import Encoder
from stfmkit.models.zoo._files import Files
from stfmkit.models.zoo._network import Assets, Common, Network
from stfmkit.models.zoo._tokens import Tokens

CARD = sk.models.ModelCard(
    name="tiny",
    target="tests.models.zoo.test_network:Tiny",
    family="rna",
    summary="The smallest network.",
    needs=("counts",),
    gene_ids="ensembl",
    weights=sk.models.Weights(kind="manual", place="the shelf", files=(sk.models.WeightFile("tiny.safetensors"),)),
)


class TinyModule(nn.Module):
    def __init__(self, n_tokens: int, width: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(n_tokens, width)
        self.encoder = Encoder(2, width, 2, 2 * width)

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        return self.encoder(self.embeddings(ids), keep=keep)


class Tiny(Network):
    """Mean of the states of the genes, in the order of their counts."""

    card = CARD
    defaults: ClassVar[dict[str, int]] = {"width": 8, "n_tokens": 2}
    n_special = 1
    gene_rows = "embeddings.weight"
    ignore = (r"^head\.",)
    block_size = 5

    def __init__(self, *, limit: int = 16, **common: Unpack[Common]) -> None:
        self.limit = limit
        super().__init__(**common)

    def read(self, folder: Path) -> Assets:
        genes = read_mapping(self.find(folder, "genes.json"))
        vocabulary = GeneVocabulary(pd.Index(list(genes)), kind="ensembl", ids=np.array(list(genes.values())))
        state = read_state(self.find(folder, "tiny.safetensors"))
        config = {"width": state["embeddings.weight"].shape[1], "n_tokens": len(state["embeddings.weight"])}
        return Assets(config=config, genes=vocabulary, state=state)

    def build(self, assets: Assets) -> nn.Module:
        return TinyModule(assets.config["n_tokens"], assets.config["width"])

    def tokenise(self, block: Block) -> Tokens:
        counts, ids = self.align(block)
        indptr, columns = rank_tokens(counts.indptr, counts.indices, counts.data, limit=self.limit)
        return Tokens(indptr, ids[columns])

    def forward(self, module: Any, batch: dict[str, Tensor]) -> Tensor:
        states = module(batch["ids"], batch["keep"])
        keep = batch["keep"][..., None]
        return (states * keep).sum(1) / keep.sum(1)


GENES = gene_ids(30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published folder."""
    made = tmp_path / "published"
    made.mkdir()
    twin = TinyModule(31, 8)
    draw = torch.Generator().manual_seed(0)
    state = {name: torch.randn(t.shape, generator=draw) * 0.3 for name, t in twin.state_dict().items()}
    save_file(state | {"head.weight": torch.zeros(2)}, made / "tiny.safetensors")
    (made / "genes.json").write_text(json.dumps({gene: i + 1 for i, gene in enumerate(GENES)}))
    return made


@pytest.fixture
def cells() -> AnnData:
    """Twelve cells."""
    return synthetic_counts(GENES)


def block_of(adata: AnnData) -> Block:
    return Block(
        obs_names=adata.obs_names,
        samples=np.arange(adata.n_obs) % 2,
        counts=sparse.csr_array(adata.X),
        genes=adata.var_names,
    )


def embedded(adata: AnnData, **options: Any) -> np.ndarray:
    model = Tiny(**options)
    sk.tl.embed(adata, model, key_added="X_tiny")
    return adata.obsm.pop("X_tiny")


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
        np.testing.assert_allclose(ours[row], states[0].mean(0).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_size_of_a_batch_does_not_matter(folder: Path, cells: AnnData, batch_size: int) -> None:
    whole = embedded(cells, weights=folder)
    np.testing.assert_allclose(embedded(cells, weights=folder, batch_size=batch_size), whole, atol=1e-6)


def test_a_random_twin_follows_from_seed_and_names_alone(cells: AnnData) -> None:
    first = embedded(cells, weights="random", rng=3)
    np.testing.assert_array_equal(first, embedded(cells, weights="random", rng=3))
    assert np.abs(first - embedded(cells, weights="random", rng=4)).max() > 1e-3
    fewer = cells[:, 5:].copy()
    model = Tiny(weights="random", rng=3)
    sk.tl.embed(cells, model, key_added="X_all")
    sk.tl.embed(fewer, model, key_added="X_few")  # a subset of the vocabulary that the twin knows
    np.testing.assert_allclose(fewer.obsm["X_few"], embedded(fewer, weights="random", rng=3), atol=1e-5)


def test_the_contract_holds(cells: AnnData) -> None:
    sk.testing.check_model(lambda: Tiny(weights="random", rng=0), block=block_of(cells))


def test_torch_s_own_random_state_stays(cells: AnnData) -> None:
    before = torch.random.get_rng_state()
    embedded(cells, weights="random")
    assert torch.equal(before, torch.random.get_rng_state())


def test_provenance_names_files_and_coverage(folder: Path, cells: AnnData) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), key_added="X_tiny")
    facts = cells.uns["stfmkit"]["embeddings"]["X_tiny"]
    assert set(facts["provenance"]["sha256"]) == {"genes.json", "tiny.safetensors"}
    assert facts["gene_coverage"] == {"n_genes": 30, "genes": 1.0, "counts": 1.0}
    assert facts["provenance"]["untrained"] is False


def test_results_survive_a_round_trip(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), key_added="X_tiny")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert back.uns["stfmkit"]["embeddings"]["X_tiny"]["provenance"]["sha256"]["genes.json"]


def test_a_table_on_disk_is_embedded_part_by_part(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    np.testing.assert_allclose(embedded(backed, weights=folder), embedded(cells, weights=folder), atol=1e-6)


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
        found.append(backed.uns["stfmkit"]["embeddings"]["X_a"]["gene_coverage"])
    assert found[1] == found[0]
    assert found[0]["n_genes"] == 20


def test_parts_need_a_folder(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="where no file can be written"):
        sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path / "file")
    with pytest.raises(InputError, match="resume= with output='genes'"):
        sk.tl.embed(cells, "scgpt", weights="random", output="genes", resume=tmp_path)


def test_a_damaged_part_is_computed_again(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path, key_added="X_a")
    for part in tmp_path.glob("*.part"):
        held = bytearray(part.read_bytes())
        held[-1] ^= 1
        part.write_bytes(bytes(held))
    sk.tl.embed(cells, Tiny(weights=folder), resume=tmp_path, key_added="X_b")
    np.testing.assert_array_equal(cells.obsm["X_a"], cells.obsm["X_b"])


# bad input


def planted(change: Callable[[Path], None], match: str) -> Any:
    return pytest.param(change, match, id=match[:30])


def rewrite(**change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        state = {**load_file(folder / "tiny.safetensors"), **change}
        save_file({k: v for k, v in state.items() if v is not None}, folder / "tiny.safetensors")

    return apply


def written(content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / "genes.json").write_bytes(content)

    return apply


def truncate(folder: Path) -> None:
    path = folder / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:200])


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    mark = tmp_path / "exploded"
    mapping, checkpoint = tmp_path / "genes.pkl", tmp_path / "model.pt"
    mapping.write_bytes(pickle.dumps({"a": Bomb(mark)}))
    torch.save({"a": Bomb(mark)}, checkpoint)
    with pytest.raises(InputError, match=r"genes\.pkl .* is not loaded: it names"):
        read_mapping(mapping)
    with pytest.raises(InputError, match="holds more than tensors and plain values, and is not loaded"):
        read_state(checkpoint)
    assert not mark.exists()


@pytest.mark.parametrize("value", [{"a": 1, "b": 2.5}, {"x": np.int16(3)}, {1: ["a", ("b", None)]}])
def test_a_pickle_of_plain_values_is_read(tmp_path: Path, value: dict[Any, Any]) -> None:
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(value))
    assert read_mapping(tmp_path / "plain.pkl") == value


@pytest.mark.parametrize(
    ("change", "match"),
    [
        planted(truncate, "cannot be read"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": None}), "1 missing"),
        planted(rewrite(more=torch.zeros(2)), "1 not known"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": torch.ones(9)}), r"\(9,\) instead of \(8,\)"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": torch.full((8,), torch.nan)}), "NaN or infinite weights"),
        planted(written(b"version https://git-lfs.github.com/spec/v1"), "git-lfs"),
        planted(written(b"[1]"), "holds a list"),
    ],
)
def test_a_checkpoint_that_is_not_right(folder: Path, change: Callable[[Path], None], match: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=match):
        Tiny(weights=folder)


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no genes.json for 'tiny'"):
        Tiny(weights=tmp_path)


def test_weights_that_are_downloaded_by_hand() -> None:
    with pytest.raises(MissingFileError, match="download them from the shelf"):
        Tiny()


def test_no_such_folder() -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        Tiny(weights="./nowhere")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"device": "cuda:99"}, "finds no such device"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"dtype": "float16"}, "dtype='float16' on cpu"),
        ({"dtype": "float8"}, "dtype"),
        ({"batch_size": 0}, "batch_size"),
        ({"on_empty": "skip"}, "on_empty"),
        ({"config": {"depth": 3}}, "config with 'depth'"),
        ({"config": "small"}, "config of type str"),
        ({"gene_table": "no.csv"}, "no gene table at 'no.csv'"),
        ({"weights": ""}, "weights='', which names no place"),
        ({"weights": 3}, "weights of type int"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(StfmkitError, match=match):
        Tiny(**{"weights": "random", **options})


@pytest.mark.parametrize("width", [10**9, -8, 7, "8", None])
def test_sizes_that_make_no_network(cells: AnnData, width: object) -> None:
    with pytest.raises(InputError, match=r"sizes that make no network of 'tiny'|a width of 7 for 2"):
        embedded(cells, weights="random", config={"width": width})


@pytest.mark.parametrize("held", [b'{"ENSG00000000001": "x"}', b'{"ENSG00000000001": null}', b"[" * 100_000])
def test_files_of_another_format(folder: Path, held: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "genes.json").write_bytes(held)

    def read(self: Tiny, folder: Path) -> Assets:
        return Assets(
            config={}, more={name: int(token) for name, token in read_mapping(self.find(folder, "genes.json")).items()}
        )

    monkeypatch.setattr(Tiny, "read", read)
    with pytest.raises(
        InputError, match=r"genes.json (of 'tiny' cannot be understood|\(100,000 bytes\) is not loaded)"
    ):
        Tiny(weights=folder)


def test_a_link_into_a_cache_is_a_file_among_its_siblings(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "0a1b2c"
    blob.parent.mkdir()
    (folder / "tiny.safetensors").rename(blob)
    (folder / "tiny.safetensors").symlink_to(blob)
    model = Tiny(weights=folder / "tiny.safetensors")
    assert set(model.provenance["sha256"]) == {"tiny.safetensors", "genes.json"}


def test_sizes_for_published_weights(folder: Path) -> None:
    with pytest.raises(InputError, match="for published weights"):
        Tiny(weights=folder, config={"width": 4})


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
    gone = np.isin(np.arange(cells.n_obs) // Tiny.block_size, [0, 2])
    cells.X = sparse.csr_matrix(cells.X.multiply(~gone[:, None]))
    wanted = np.where(gone[:, None], 0, whole)
    with pytest.raises(InputError, match=r"7 of 12 observations have no count of a gene that 'tiny' knows: 'cell0'"):
        embedded(cells, weights=folder)
    np.testing.assert_allclose(embedded(cells, weights=folder, on_empty="zero"), wanted, atol=1e-6)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for _ in range(2):
        sk.tl.embed(backed, Tiny(weights=folder, on_empty="zero"), resume=tmp_path / "parts", key_added="X_b")
        np.testing.assert_allclose(backed.obsm.pop("X_b"), wanted, atol=1e-6)
    none = cells[gone].copy()
    with pytest.raises(InputError, match=r"none of the 7 observations has a count of a gene that 'tiny' knows"):
        embedded(none, weights=folder, on_empty="zero")
    model = Tiny(weights=folder, on_empty="zero")
    with pytest.raises(InputError, match="no observation with a known gene"):
        model.encode(model.prepare(block_of(none)))


def test_coverage_is_told_at_the_first_part_with_a_known_gene(folder: Path) -> None:
    cells = synthetic_counts(GENES[:10] + gene_ids(40, start=100))
    cells.X = sparse.csr_matrix(cells.X.multiply(np.arange(cells.n_obs)[:, None] >= Tiny.block_size))
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
    np.testing.assert_allclose(cells.obsm["X_a"], named, atol=1e-6)
    assert cells.uns["stfmkit"]["embeddings"]["X_a"]["gene_coverage"]["n_genes"] == 27


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
