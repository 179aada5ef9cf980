"""How to read one value of a table of scores: a metric with its setting, or the ceiling of a metric."""

from collections.abc import Iterator
from dataclasses import dataclass

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit.metrics._catalogue import spec
from stfmkit.metrics._metric import Bounds, MetricSpec

STATUSES = ("scored", "ceiling", "of ceiling", "undefined")
SCOPES = ("", "gene", "niche", "sample", "patient", "cohort")

_HALVES = "stfmkit documentation; thinning: Neufeld et al. 2022, Biostatistics kxac047"
_OUR = "stfmkit documentation"
_PROBES = {"linear": "linear probe", "knn": "kNN probe"}
_METHODS = {"pearson": "Pearson", "spearman": "Spearman"}


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """What a reader of a table must know of its values.

    Attributes
    ----------
    metric, setting, status, scope
        What is described, as in the table of scores.
    title, label
        How it is written, with the setting; the label is short, for columns and axes.
    higher_is_better
        Direction, or None where the size is neither good nor bad.
    bounds
        Smallest and largest value; None where there is none.
    chance
        The value of an uninformative prediction, or None where it depends on the data.
    source
        Where the definition comes from.
    summary
        One or two sentences that say what is measured.
    """

    metric: str
    setting: str
    status: str
    scope: str
    title: str
    label: str
    higher_is_better: bool | None
    bounds: Bounds
    chance: float | None
    source: str
    summary: str

    @property
    def arrow(self) -> str:
        """Direction as a sign, or empty text."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def direction(self) -> str:
        """Direction in words."""
        return {True: "higher is better", False: "lower is better", None: "descriptive"}[self.higher_is_better]


def describe(metric: str, setting: str = "", status: str = "scored", *, scope: str = "") -> MetricFacts:
    """Return how to read a row of a table of scores.

    Parameters
    ----------
    metric
        Name of the metric.
    setting
        How it was applied, as in the column of this name: "probe=linear", "n=10", "n_clusters=7", or nothing; several
        are separated by commas.
    status
        "scored", "ceiling" (an upper bound of what the noise of the data allows), "of ceiling" (the scores of a sample
        as a share of that), or "undefined".
    scope
        What the row is about; "cohort" is said in the title.

    Returns
    -------
    Title, direction, bounds, chance level, source and summary.

    Raises
    ------
    MissingKeyError
        If there is no such metric; the nearest names are suggested.
    InputError
        If there is no such status or scope, or the setting is malformed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.describe("macro_f1", "probe=linear").title, sk.metrics.describe("adjusted_jaccard", "n=10").title
    ('Macro F1, linear probe', 'Adjusted Jaccard @10')
    >>> share = sk.metrics.describe("pearson", status="of ceiling")
    >>> share.title, share.chance, share.bounds
    ('Pearson r, of ceiling', 0.0, (None, None))
    >>> sk.metrics.describe("adjusted_jaccard", "n=10", "ceiling", scope="cohort").title
    'Ceiling of Adjusted Jaccard @10, cohort'
    """
    check_choice(status, STATUSES, name="status")
    check_choice(scope, SCOPES, name="scope")
    about = spec(metric)
    title, label = with_setting(about.title, setting), with_setting(about.label, setting)
    direction, bounds, chance = about.higher_is_better, about.bounds, about.chance
    source, summary = about.source, about.summary
    if status == "ceiling":
        title, label = f"Ceiling of {title}", f"Ceiling of {label}"
        direction, chance = None, None
        bounds, source, summary = _ceiling(about)
    elif status == "of ceiling":
        title, label = f"{title}, of ceiling", f"{label}, of ceiling"
        bounds, chance, source = (None, None), 0.0 if about.chance == 0 else None, _OUR
        summary = "The scores of a sample as a share of their ceilings, sum by sum: a share of an upper bound."
    if scope == "cohort":
        title, label = f"{title}, cohort", f"{label}, cohort"
        summary = f"{summary} Of all patients together, on the genes that every fold predicts."
    return MetricFacts(
        metric=metric,
        setting=setting,
        status=status,
        scope=scope,
        title=title,
        label=label,
        higher_is_better=direction,
        bounds=bounds,
        chance=chance,
        source=source,
        summary=summary,
    )


def with_setting(title: str, setting: str) -> str:
    """Return a title with the words of a setting: a size of signatures after an @, all else after a comma."""
    sizes, words = [], []
    for name, value in _parts(setting):
        if name in {"n", "n_genes"}:
            sizes.append(f" @{value}")
        else:
            words.append(f", {_words(name, value)}")
    return title + "".join(sizes + words)


def _parts(setting: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of every part; the name is empty for plain words such as "debiased"."""
    for part in setting.split(",") if setting.strip() else ():
        name, sign, value = (text.strip() for text in part.partition("="))
        if not name or (sign and not value):
            raise InputError(
                f"setting={setting!r}.",
                allowed='parts such as "probe=linear" or "n=10", separated by commas',
                remedy="correct the setting, or leave it empty.",
            )
        yield (name, value) if sign else ("", name)


def _words(name: str, value: str) -> str:
    if name == "probe":
        return _PROBES.get(value, f"{value} probe")
    if name == "method":
        return _METHODS.get(value, value)
    if name.startswith("n_"):
        return f"{value} {name[2:].replace('_', ' ')}"
    return f"{name.replace('_', ' ')} {value}".strip()


def _ceiling(about: MetricSpec) -> tuple[Bounds, str, str]:
    """Return bounds, source and summary of the ceiling of a metric."""
    if about.ceiling:
        definition = spec(about.ceiling)
        return definition.bounds, definition.source, definition.summary
    return about.bounds, _HALVES, "Upper bound from what two halves of the counts, or two annotations, agree on."
