"""Genes are looked up once for all parts of a table, and again where anything changed."""

from pathlib import Path

import numpy as np
import pandas as pd

from stfmkit._core.files import sha256_of
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.genes.matcher import GeneMatcher

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
