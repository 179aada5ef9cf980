"""What a verb returns of its scores: the table, and its averages."""

import pandas as pd

from stfmkit.evaluation.averages import over_patients, per_patient
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.scores import concat_scores


def score_tables(scores: pd.DataFrame, *, relative: bool = True) -> dict[str, pd.DataFrame]:
    """Return the scores, shares of their ceilings among them, and their averages.

    Parameters
    ----------
    scores
        A table of scores, and ceilings as rows with ``status="ceiling"``.
    relative
        Add the scores as shares of their ceilings.

    Returns
    -------
    "scores", "by_patient" (one value for every contender, metric, setting and patient) and "summary" (over patients).
    """
    whole = concat_scores([scores, relative_scores(scores)]) if relative else scores
    patients = per_patient(whole)
    named = patients[patients["patient"] != ""].reset_index(drop=True)  # others speak of all patients together
    return {"scores": whole, "by_patient": named, "summary": over_patients(patients)}
