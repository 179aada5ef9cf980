"""Tables of scores in the wide form in which tests read them."""

import pandas as pd


def columns(table: pd.DataFrame) -> pd.Series:
    """Name every row by its metric, what it is (a ceiling or a share of one), and the baseline, if it is one."""
    ending = table["status"].map({"ceiling": "_ceiling", "of ceiling": "_of_ceiling"}).fillna("")
    baseline = table["contender"].where(table["contender"].str.startswith("control:"), "")
    return table["metric"] + ending + baseline.str.replace("control:linear", "")


def by_gene(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row for every sample and gene, without what is said of all genes of a sample."""
    scores = tables["scores"][tables["scores"]["gene"] != ""]
    index = ["patient", "sample", "gene"]
    named = scores.assign(name=columns(scores)).set_index([*index, "fold", "name"])["value"]
    return named.unstack("name")  # noqa: PD010  rows without a value are kept


def genes_of(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the same with patient, sample, gene and fold as columns."""
    return by_gene(tables).reset_index()


def summary(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean, sd, min, max and n_patients, indexed by name."""
    table = tables["summary"]
    return table.assign(name=columns(table)).set_index("name")[["mean", "sd", "min", "max", "n_patients"]]
