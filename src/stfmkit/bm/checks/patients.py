"""Whether patients are who their ids say: two spellings, names inside names, another column that knows better."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_PERSONS = frozenset({"patient", "pat", "pt", "donor", "subject", "individual", "participant", "person", "case"})
"""Words that name a person, and nothing else, in the columns of tables of cells."""
_ANIMALS = frozenset({"mouse", "mice", "animal", "rat"})
"""Words that name an animal or its strain."""
_OF_IDS = frozenset({"id", "identifier", "name", "key", "no", "nr", "num", "number", "code", "uuid", "hash"})
"""Words that may stand beside them in the name of a column of ids."""
_ORIGINS = frozenset({"orig", "original", "origin", "sample", "obs", "meta", "source", "the", "of"})
"""Words before them that say where the column comes from."""
_STATES = frozenset({"case", "control", "ctrl", "healthy", "yes", "no", "true", "false", "0", "1", "y", "n"})
"""Values of a column that tells patients from controls."""
_LOOKALIKES = str.maketrans("АВСЕНІКМОРТХУасеіорхуΑΒΕΗΙΚΜΝΟΡΤΧΥο", "ABCEHIKMOPTXYaceiopxyABEHIKMNOPTXYo")
"""Cyrillic and Greek letters that look like Latin ones."""
_PARTS = re.compile(r"[^\W\d_]+|\d+|[^\w\s.\-/,:;]+")
_WORDS = re.compile(r"[A-Z]+(?:s(?![a-z]))?(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_BREAKS = re.compile(r"[\s_.\-/:]")


def plain_name(name: str) -> tuple[str, ...]:
    """Return an id without what tells two spellings apart: case, blanks, separators, leading zeros, lookalike letters.

    Runs of digits stay apart, so that "1-1" and "11" are two names.

    Examples
    --------
    >>> plain_name(" Patient_07") == plain_name("patient-7")
    True
    >>> plain_name("1-1") == plain_name("11")
    False
    """
    text = unicodedata.normalize("NFKC", name).translate(_LOOKALIKES)
    text = unicodedata.normalize("NFKD", text).casefold().strip()
    text = "".join(
        letter for letter in text if not unicodedata.combining(letter) and unicodedata.category(letter) != "Cf"
    )
    if re.fullmatch(r"\d+\.0+", text):  # a number that a table has read as a decimal
        text = text.partition(".")[0]
    parts: list[str] = []
    for found in _PARTS.findall(text):
        part = found.lstrip("0") or "0" if found.isdigit() else found
        if parts and part.isalpha() and parts[-1].isalpha():
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)


def column_words(name: str) -> set[str]:
    """Return the words of the name of a column, in small letters and the singular.

    Words end at whatever is no letter, and before a capital letter that begins one.

    Examples
    --------
    >>> sorted(column_words("orig.patientIDs"))
    ['id', 'orig', 'patient']
    >>> sorted(column_words("donor_age"))
    ['age', 'donor']
    """
    found = [word.casefold() for word in _WORDS.findall(name)]
    known = _PERSONS | _ANIMALS | _OF_IDS
    return {word[:-1] if word.endswith("s") and word[:-1] in known else word for word in found}


def two_spellings(study: Study) -> Iterator[Finding]:
    """Find patients whose ids differ in spelling only."""
    names: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in map(str, study.patients.categories):
        names[plain_name(name)].append(name)
    same = [group for plain, group in names.items() if len(group) > 1 and plain]
    if same:
        yield Finding(
            severity="error",
            check="patient under two spellings",
            evidence="; ".join(" and ".join(map(repr, group)) for group in same[:6])
            + f" of obs[{study.protocol.patient_key!r}] differ in case, blanks, separators, zeros or lookalike letters "
            "only.",
            remedy="write every patient in one way: adata.obs[key] = adata.obs[key].replace({...}).",
            columns=("id", "also written as"),
            rows=tuple((group[0], ", ".join(group[1:])) for group in same),
        )


def names_inside_names(study: Study) -> Iterator[Finding]:
    """Find patients whose id is that of another patient with something behind a separator."""
    names = list(map(str, study.patients.categories))
    known = {name.casefold().strip(): name for name in names}
    found = []
    for name in names:
        text = name.casefold().strip()
        for cut in _BREAKS.finditer(text):
            stem = text[: cut.start()]
            if stem in known and plain_name(known[stem]) != plain_name(name):
                found.append((known[stem], name))
                break
    if found:
        yield Finding(
            severity="warning",
            check="patient inside another name",
            evidence=f"{listed([f'{long!r} begins with the patient {short!r}' for short, long in found], most=4)} "
            f"in obs[{study.protocol.patient_key!r}]: sections of one patient may stand as two.".replace('"', ""),
            remedy="if they are one patient, write one id; if they are not, nothing is wrong.",
            columns=("patient", "begins with it"),
            rows=tuple(found),
        )


def another_column(study: Study) -> Iterator[Finding]:
    """Find a column that names persons and puts several of the patients together."""
    obs, key = study.adata.obs, study.protocol.patient_key
    patients = np.asarray(study.patients.astype(str))
    n = len(study.patients.categories)
    for column in obs.columns:
        words = column_words(str(column))
        person, animal = words & _PERSONS, words & _ANIMALS
        if words - _PERSONS - _ANIMALS - _OF_IDS - _ORIGINS:
            continue  # the age of a donor, the sex of a mouse
        if set(obs[column].astype(str).str.casefold()) <= _STATES:
            continue
        if column in {key, study.protocol.label_key} or not (person or animal) or obs[column].isna().any():
            continue
        pairs = pd.DataFrame({"own": patients, "other": obs[column].astype(str).to_numpy()}).drop_duplicates()
        n_others = pairs["other"].nunique()
        if pairs["own"].duplicated().any() or n_others >= n:
            continue  # it does not group patients
        if n_others == 1 and animal:
            continue  # the species
        torn = _torn(study, obs[column].astype(str).to_numpy())
        if not torn:
            continue
        yield Finding(
            severity="error" if person and n_others > 1 else "warning",
            check="sections given as patients",
            evidence=f"obs[{str(column)!r}] puts the {n} patients of obs[{key!r}] into {n_others}, and {torn} of them "
            f"{'are' if torn > 1 else 'is'} in training and test of a fold.",
            remedy=f"pass patient_key={str(column)!r}, or remove the column if it says something else.",
            columns=(str(column), key),
            rows=tuple((str(k), ", ".join(v["own"])) for k, v in pairs.groupby("other")),
        )


def _torn(study: Study, persons: np.ndarray) -> int:
    codes = pd.factorize(persons)[0]
    both = [np.intersect1d(codes[fold.train], codes[fold.test]) for fold in study.folds]
    return len(np.unique(np.concatenate(both))) if both else 0
