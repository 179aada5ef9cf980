"""The page of metrics, made from the descriptions on their functions when the docs are built."""

from pathlib import Path

from stfmkit.metrics import MetricSpec, list_metrics, spec
from stfmkit.metrics._catalogue import FAMILIES

HEAD = """# Metrics

Made from the descriptions that stand on the functions (`sk.metrics.spec(name)`, `sk.metrics.list_metrics()`).

↑ higher is better, ↓ lower is better, no sign: a description that is neither good nor bad by its size. **Values** are
the smallest and the largest possible, with ∞ where there is no bound. **Chance** is the value of an uninformative
prediction; it is empty where it depends on the data. Values of genes, classes or niches are averaged to one value of a
sample, by the median where the column **genes** says so; values of samples are averaged within patients, and patients
count the same.

"""

COLUMNS = "| metric | measures | values | chance | genes | source |\n| --- | --- | --- | --- | --- | --- |"


def write_page(folder: Path) -> None:
    """Write ``metrics.md`` with one row for every metric, by family."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.md").write_text(HEAD + "\n".join(_sections()), encoding="utf-8")


def _sections() -> list[str]:
    table = list_metrics()
    parts = []
    for family in dict.fromkeys(table["family"]):
        rows = "\n".join(_row(spec(name)) for name in table.index[table["family"] == family])
        title = FAMILIES.get(family, family.capitalize())
        parts.append(
            f"## {title}\n\n| metric | measures | values | chance | genes | source |\n{'| --- ' * 6}|\n{rows}\n"
        )
    return parts


def _row(about: MetricSpec) -> str:
    arrow = {True: " ↑", False: " ↓", None: ""}[about.higher_is_better]
    low, high = about.bounds
    values = f"{'−∞' if low is None else _number(low)} … {'∞' if high is None else _number(high)}"
    ours = about.target.startswith("stfmkit.")
    place = f"{{py:func}}`~stfmkit.metrics.{about.name}`" if ours else f"`{about.target}`"
    cells = [
        f"{_cell(about.title)}{arrow}<br>{place}",
        _cell(about.summary),
        values,
        "" if about.chance is None else _number(about.chance),
        "" if about.over_genes == "mean" else about.over_genes,
        _cell(about.source),
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
