"""Symbols and Ensembl ids from an annotation."""

import gzip
from pathlib import Path

import pandas as pd
import pooch
import pytest

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError

LINES = """#!genome-build GRCh38
1\thavana\tgene\t1\t9\t.\t+\t.\tgene_id "ENSG00000000001"; gene_version "3"; gene_name "AAA"; gene_biotype "x";
1\thavana\ttranscript\t1\t9\t.\t+\t.\tgene_id "ENSG00000000001"; gene_name "AAA";
1\thavana\tgene\t1\t9\t.\t+\t.\tgene_id "ENSG00000000002"; gene_biotype "x";
1\thavana\tgene\t1\t9\t.\t+\t.\tgene_id "ENSG00000000003"; gene_name "BBB";
"""


@pytest.fixture
def gtf(tmp_path: Path) -> Path:
    """A compressed annotation of three genes, one of them without a name."""
    path = tmp_path / "small.gtf.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    return path


def test_genes_with_a_name(gtf: Path) -> None:
    table = sk.datasets.gene_table("human", release=113, gtf=gtf)
    wanted = pd.DataFrame({"symbol": ["AAA", "BBB"], "ensembl": ["ENSG00000000001", "ENSG00000000003"]})
    pd.testing.assert_frame_equal(table, wanted)
    assert table.attrs["source"] == "small.gtf.gz (Ensembl 113, human)"


def test_it_is_fetched_once_and_kept(gtf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def retrieve(url: str, *, path: Path, **_: object) -> str:
        asked.append(url)
        path.mkdir(parents=True, exist_ok=True)
        copy = path / "fetched.gtf.gz"
        copy.write_bytes(gtf.read_bytes())
        return str(copy)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    first = sk.datasets.gene_table("mouse", release=110, folder=tmp_path)
    again = sk.datasets.gene_table("mouse", release=110, folder=tmp_path)
    pd.testing.assert_frame_equal(first, again)
    (url,) = asked
    assert url.endswith("release-110/gtf/mus_musculus/Mus_musculus.GRCm39.110.chr.gtf.gz")
    assert again.attrs["source"] == "Ensembl 110, mouse"
    assert [path.name for path in (tmp_path / "genes").iterdir()] == ["mouse-110.parquet"]


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(*_: object, **__: object) -> str:
        raise ConnectionError

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(MissingFileError, match="pass gtf="):
        sk.datasets.gene_table("human", release=113, folder=tmp_path)


def test_what_is_no_annotation(tmp_path: Path) -> None:
    (tmp_path / "a.gtf").write_text("nothing\n")
    (tmp_path / "b.gtf.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no gene with gene_id"):
        sk.datasets.gene_table("human", release=113, gtf=tmp_path / "a.gtf")
    with pytest.raises(InputError, match="cannot be read"):
        sk.datasets.gene_table("human", release=113, gtf=tmp_path / "b.gtf.gz")
    with pytest.raises(MissingFileError, match=r"no file"):
        sk.datasets.gene_table("human", release=113, gtf=tmp_path / "c.gtf")
    with pytest.raises(InputError, match="species"):
        sk.datasets.gene_table("rat", release=113)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="release"):
        sk.datasets.gene_table("mouse", release=90)
