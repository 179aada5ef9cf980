"""The genes of a table in the vocabulary of a model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingFileError
from stfmkit._core.files import sha256_of
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneMatcher, GeneVocabulary, align_counts, match_genes
from stfmkit.models.genes.table import GeneTable, kind_of, without_version

VOCABULARY = GeneVocabulary(
    pd.Index(["ENSG00000000003", "ENSG00000000001", "ENSG00000000002"]), kind="ensembl", ids=np.array([7, 5, 9])
)


def test_kinds() -> None:
    assert kind_of(pd.Index(["ENSG00000000003", "ENSMUSG00000000003.4", "TP53"])) == "ensembl"
    assert kind_of(pd.Index(["ENSG00000000003", "ENSA", "TP53"])) == "symbol"
    assert kind_of(pd.Index(["ensg00000000003", "ensg00000000004.2"])) == "ensembl"
    assert list(without_version(pd.Index(["ensg00000000003.14"]))) == ["ENSG00000000003"]


def test_columns_come_in_the_order_of_tokens() -> None:
    match = match_genes(pd.Index(["ENSG00000000002.1", "ENSG00000000099", "ENSG00000000001"]), VOCABULARY, what="m")
    assert list(match.columns) == [2, 0]
    assert list(match.ids) == [5, 9]


@pytest.mark.parametrize(("rule", "columns"), [("sum", [0, 2, 1]), ("keep", [0, 2, 1]), ("first", [0, 1])])
def test_duplicates(rule: str, columns: list[int]) -> None:
    genes = pd.Index(["ENSG00000000001", "ENSG00000000002", "ENSG00000000001.2"])
    match = match_genes(genes, VOCABULARY, what="m", duplicates=rule)  # type: ignore[arg-type]
    assert list(match.columns) == columns
    counts = sparse.csr_array(np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]]))
    aligned, ids = align_counts(counts, match, add_up=rule == "sum")
    wanted = {"sum": [[5, 2], [0, 1]], "keep": [[1, 4, 2], [0, 0, 1]], "first": [[1, 2], [0, 1]]}[rule]
    np.testing.assert_array_equal(aligned.toarray(), wanted)
    assert list(ids) == {"sum": [5, 9], "keep": [5, 5, 9], "first": [5, 9]}[rule]


def test_duplicates_that_are_refused() -> None:
    genes = pd.Index(["ENSG00000000001", "ENSG00000000001.2"])
    with pytest.raises(InputError, match=r"1 genes stand for a gene of 'm' that another"):
        match_genes(genes, VOCABULARY, what="m", duplicates="error")


def test_translation_prefers_what_the_model_knows() -> None:
    table = pd.DataFrame(
        {"symbol": ["A", "A", "B"], "ensembl": ["ENSG00000000055", "ENSG00000000001", "ENSG00000000003"]}
    )
    match = match_genes(pd.Index(["B", "A", "C"]), VOCABULARY, what="m", gene_table=table)
    assert list(match.columns) == [1, 0]
    assert list(match.ids) == [5, 7]
    assert match.table == "a frame of the caller"


def test_names_of_both_kinds_are_all_found() -> None:
    table = pd.DataFrame({"symbol": ["A", "B"], "ensembl": ["ENSG00000000001", "ENSG00000000003"]})
    for names, columns in ((["A", "B", "ENSG00000000002.1"], [0, 1, 2]), (["B", "ENSG00000000002", "ENSG00000000001"],
                                                                         [2, 0, 1])):  # fmt: skip
        match = match_genes(pd.Index(names), VOCABULARY, what="m", gene_table=table)
        assert list(match.columns) == columns
        assert list(match.ids) == [5, 7, 9]
    symbols = GeneVocabulary(pd.Index(["B", "A"]), kind="symbol")
    match = match_genes(pd.Index(["ENSG00000000001", "ENSG00000000009", "B"]), symbols, what="m", gene_table=table)
    assert list(match.columns) == [2, 0]


def test_a_symbol_as_the_table_writes_it_comes_first() -> None:
    both = pd.DataFrame({"symbol": ["TP53", "Tp53"], "ensembl": ["ENSG00000000001", "ENSMUSG00000000001"]})
    held = GeneVocabulary(pd.Index(both["ensembl"]), kind="ensembl")
    assert list(match_genes(pd.Index(["Tp53"]), held, what="m", gene_table=both).ids) == [1]
    assert list(match_genes(pd.Index(["TP53"]), held, what="m", gene_table=both).ids) == [0]


def test_symbols_of_another_species_are_refused() -> None:
    human = pd.DataFrame(
        {"symbol": ["GAPDH", "C1orf43", "TP53"], "ensembl": ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"]}
    )
    with pytest.raises(InputError, match=r"2 of 3 symbols [\s\S]*'Gapdh' is 'GAPDH' there[\s\S]*another species"):
        match_genes(pd.Index(["Gapdh", "Tp53", "Xist"]), VOCABULARY, what="m", gene_table=human)
    match = match_genes(pd.Index(["GAPDH", "C1ORF43", "TP53"]), VOCABULARY, what="m", gene_table=human)
    assert list(match.columns) == [0, 2, 1]


def test_translation_to_symbols() -> None:
    vocabulary = GeneVocabulary(pd.Index(["Tp53", "Myc"]), kind="symbol", fold_case=True)
    table = GeneTable.of_mapping({"MYC": "ENSG00000136997"}, source="the publication")
    match = match_genes(pd.Index(["ENSG00000136997.12"]), vocabulary, what="m", gene_table=table)
    assert list(match.ids) == [1]
    assert match.table == "the publication"


def test_case_counts_unless_the_model_says_otherwise() -> None:
    folded = GeneVocabulary(pd.Index(["Tp53", "Myc"]), kind="symbol", fold_case=True)
    told = GeneVocabulary(pd.Index(["Tp53", "Myc"]), kind="symbol", fold_case=True, tells_case=True)
    strict = GeneVocabulary(pd.Index(["Tp53"]), kind="symbol")
    assert list(match_genes(pd.Index(["TP53", "MYC"]), folded, what="m").ids) == [0, 1]
    assert list(match_genes(pd.Index(["TP53", "Myc"]), told, what="m").ids) == [0, 1]
    with pytest.raises(InputError, match=r"2 of 3 symbols are known to 'm' in another case only \('TP53' is 'Tp53'"):
        match_genes(pd.Index(["TP53", "MYC", "XIST"]), told, what="m")
    with pytest.raises(InputError, match="none of the 1 genes"):
        match_genes(pd.Index(["TP53"]), strict, what="m")


def test_kinds_that_differ_need_a_table() -> None:
    with pytest.raises(InputError, match=r"kind 'symbol' \('TP53'\), and 'm' knows 'ensembl'[\s\S]*gene_table="):
        match_genes(pd.Index(["TP53"]), VOCABULARY, what="m")


def test_tables_that_are_none(tmp_path) -> None:
    with pytest.raises(InputError, match="columns 'a'"):
        GeneTable.of(pd.DataFrame({"a": [1]}))
    with pytest.raises(InputTypeError, match="type int"):
        GeneTable.of(3)  # type: ignore[arg-type]
    with pytest.raises(MissingFileError, match="no gene table"):
        GeneTable.of(tmp_path / "no.csv")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables_from_files(tmp_path, suffix: str) -> None:
    frame = pd.DataFrame({"symbol": ["A", None], "ensembl": ["ENSG00000000001.9", "ENSG00000000002"], "more": [1, 2]})
    path = tmp_path / f"genes{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if suffix == ".csv" else "\t", index=False)
    table = GeneTable.of(path)
    assert list(table.symbols) == ["A"]
    assert list(table.ensembl) == ["ENSG00000000001"]
    assert table.source == path.name


def test_sums_outgrow_narrow_integers() -> None:
    genes = pd.Index(["ENSG00000000001.1", "ENSG00000000001.2"])
    counts = sparse.csr_array(np.array([[200, 100]], dtype=np.uint8))
    aligned, _ = align_counts(counts, match_genes(genes, VOCABULARY, what="m"))
    np.testing.assert_array_equal(aligned.toarray(), [[300]])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=15), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_adding_up_conserves_the_counts_of_known_genes(ids: list[int], seed: int) -> None:
    names = [f"ENSG{i:011d}.{n}" for n, i in enumerate(ids)]
    vocabulary = GeneVocabulary(pd.Index([f"ENSG{i:011d}" for i in range(8)]), kind="ensembl")
    counts = np.random.default_rng(seed).poisson(1.0, size=(4, len(ids))).astype(float)
    known = np.array(ids) < 8
    if not known.any():
        with pytest.raises(InputError, match="none of the"):
            match_genes(pd.Index(names), vocabulary, what="m")
        return
    aligned, tokens = align_counts(sparse.csr_array(counts), match_genes(pd.Index(names), vocabulary, what="m"))
    wanted = np.stack([counts[:, np.array(ids) == token].sum(axis=1) for token in tokens], axis=1)
    np.testing.assert_array_equal(aligned.toarray(), wanted)
    assert (np.diff(tokens) > 0).all()


KNOWN = GeneVocabulary(pd.Index(["A", "B", "C"]), kind="symbol")


def block_of(genes: pd.Index, **columns: list[str]) -> Block:
    names = pd.Index(["o1", "o2"])
    var = {key: np.array(values, dtype=object) for key, values in columns.items()}
    return Block(obs_names=names, samples=np.zeros(2, dtype=int), genes=genes, var=var)


def matcher_of(**options: object) -> GeneMatcher:
    return GeneMatcher(**{"what": "m", "gene_key": None, "duplicates": "sum", "gene_table": None} | options)  # type: ignore[arg-type]


def test_the_parts_of_a_table_share_the_answer() -> None:
    matcher, block = matcher_of(), block_of(pd.Index(["B", "Z", "A"]))
    assert matcher.remembered(block, KNOWN) is None
    match = matcher.remember(matcher.match(matcher.names(block), KNOWN, published=None), block, KNOWN)
    assert list(match.columns) == [2, 0]
    assert matcher.remembered(block.take(np.array([1])), KNOWN) is match
    assert matcher.remembered(block_of(pd.Index(["B", "Z", "A"])), KNOWN) is None  # equal, and another table
    assert matcher.remembered(block, GeneVocabulary(KNOWN.names, kind="symbol")) is None


def test_names_of_a_column_and_pairs_of_a_file(tmp_path: Path) -> None:
    block = block_of(pd.Index(["1", "2"]), id=["ENSG00000000001", "ENSG00000000002"])
    assert list(matcher_of(gene_key="id").names(block)) == ["ENSG00000000001", "ENSG00000000002"]
    path = tmp_path / "genes.csv"
    pd.DataFrame({"symbol": ["C", "A"], "ensembl": ["ENSG00000000001", "ENSG00000000009"]}).to_csv(path, index=False)
    matcher = matcher_of(gene_key="id", gene_table=path)
    assert matcher.sha256 == sha256_of(path)
    match = matcher.match(matcher.names(block), KNOWN, published=None)
    assert (list(match.columns), list(match.ids)) == ([0], [2])
