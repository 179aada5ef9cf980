"""Symbols and Ensembl ids of all genes of a species, from one release of Ensembl."""

import gzip
import os
import re
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import pandas as pd

from stfmkit._core.arguments import check_choice, check_integer
from stfmkit._core.errors import InputError, MissingFileError

Species: TypeAlias = Literal["human", "mouse"]

_GTF = {
    "human": ("homo_sapiens/Homo_sapiens.GRCh38", 76),
    "mouse": ("mus_musculus/Mus_musculus.GRCm39", 103),
}
"""Path of the annotation and the first release with this assembly."""
_ID = re.compile(r'gene_id "([^"]+)"')
_NAME = re.compile(r'gene_name "([^"]+)"')


def gene_table(
    species: Species,
    *,
    release: int,
    gtf: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Return symbol and Ensembl id of every gene of one release of Ensembl.

    The annotation (about 50 MB) is fetched once and kept as a small table. Nothing else in the package goes online for
    names of genes: pass the result to ``sk.tl.embed(..., gene_table=)``.

    Parameters
    ----------
    species
        "human" or "mouse".
    release
        Number of the release, such as 113; names change between releases, so there is no default.
    gtf
        Annotation on disk (``.gtf`` or ``.gtf.gz``), instead of fetching it.
    folder
        Where to keep the table; the user's cache by default.

    Returns
    -------
    Columns symbol and ensembl, one row per gene that has a symbol; ``attrs["source"]`` names release and species.

    Raises
    ------
    InputError
        The species or release is not there, or the file is no annotation.
    MissingFileError
        The file is not there, or cannot be fetched.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import stfmkit as sk
    >>> place = Path(tempfile.mkdtemp())
    >>> fields = ["17", "havana", "gene", "1", "9", ".", "-", ".", 'gene_id "ENSG00000141510"; gene_name "TP53";']
    >>> _ = (place / "small.gtf").write_text(chr(9).join(fields))
    >>> sk.datasets.gene_table("human", release=113, gtf=place / "small.gtf")
      symbol          ensembl
    0   TP53  ENSG00000141510
    """
    check_choice(species, get_args(Species), name="species")
    path, first = _GTF[species]
    check_integer(release, name="release", least=first)
    source = f"Ensembl {release}, {species}"
    if gtf is not None:
        place = Path(gtf)
        if not place.is_file():
            raise MissingFileError(f"no file {str(place)!r}.", allowed="a gtf file", remedy="correct the path.")
        return _sourced(_read_gtf(place), f"{place.name} ({source})")
    import pooch

    cache = Path(folder if folder is not None else os.environ.get("STFMKIT_CACHE", pooch.os_cache("stfmkit"))) / "genes"
    kept = cache / f"{species}-{release}.parquet"
    if not kept.is_file():
        fetched = _fetched(f"https://ftp.ensembl.org/pub/release-{release}/gtf/{path}.{release}.chr.gtf.gz", cache)
        _read_gtf(fetched).to_parquet(kept)
        fetched.unlink()
    return _sourced(pd.read_parquet(kept), source)


def _sourced(table: pd.DataFrame, source: str) -> pd.DataFrame:
    table.attrs["source"] = source
    return table


def _fetched(url: str, cache: Path) -> Path:
    import pooch

    try:
        return Path(pooch.retrieve(url, known_hash=None, path=cache, progressbar=True))
    except (OSError, ValueError) as error:
        raise MissingFileError(
            f"the annotation cannot be fetched from {url} ({type(error).__name__}).",
            allowed="a network, or a gtf file on disk",
            remedy="check the release, or download it elsewhere and pass gtf=.",
        ) from None


def _read_gtf(path: Path) -> pd.DataFrame:
    rows = []
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                fields = line.split("\t")
                if len(fields) == 9 and fields[2] == "gene":
                    found, named = _ID.search(fields[8]), _NAME.search(fields[8])
                    if found and named:
                        rows.append((named[1], found[1]))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} cannot be read ({type(error).__name__}).",
            allowed="a gtf file, or one compressed with gzip",
            remedy="download it again.",
        ) from None
    if not rows:
        raise InputError(
            f"no gene with gene_id and gene_name in {path.name}.",
            allowed="an annotation in GTF",
            remedy="pass the gtf of Ensembl or GENCODE.",
        )
    return pd.DataFrame(rows, columns=["symbol", "ensembl"]).drop_duplicates(ignore_index=True)
