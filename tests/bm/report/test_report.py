"""The page, checked as a browser would read it."""

import base64
import hashlib
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

from stfmkit.bm._results import Results
from stfmkit.bm.report.figures import dot_plot, map_grid
from stfmkit.bm.report.formatting import flatten
from stfmkit.bm.report.narrative import task_verdict
from stfmkit.bm.report.render import render_report
from stfmkit.bm.report.view_models import task_views

HOSTILE = "<script>alert(1)</script>$\\frac{\"&'"


class Page(HTMLParser):
    """What a browser sees: tags with attributes, text by tag, and the raw content of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw: dict[str, str] = {"script": "", "style": ""}
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in self.raw:
            self.raw[self._inside] += data
        elif data.strip():
            self.text.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def hostile(example_results):
    return example_results(hostile=HOSTILE)


@pytest.fixture(scope="module")
def html(hostile):
    return render_report(hostile, title=f"Title {HOSTILE}")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def _only(results, task):
    (facts,) = [f for f in task_views(results, results.rank()) if f.name == task]
    return facts


def _words(sentences):
    return unescape(re.sub(r"<[^>]+>", "", " ".join(map(str, sentences))))


def test_names_from_data_are_escaped(html, page):
    assert "<script>alert" not in html
    assert len(page.all("script")) == 1
    assert "alert" not in page.raw["script"]
    shown = [t for t in page.text if "alert(1)" in t]
    for kind in ("Title", "model", "niche", "gene", "patient"):
        assert any(f"{kind} {HOSTILE}" in t for t in shown), kind
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]


def test_nothing_is_loaded(html, page):
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "poster", "data", "action"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]
    assert "fetch(" not in page.raw["script"]
    assert not re.search(r"https?://", re.sub(r"data:[^\"]+", "", html))


def test_the_policy_allows_our_script_and_nothing_else(page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.raw["script"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_pictures_cannot_run_scripts_and_speak(page):
    pictures = page.all("img")
    assert len(pictures) == 5 + 2 + 1  # a dot plot for every task, maps for two, mean ranks over all
    assert all(len(p["alt"]) > 40 for p in pictures)
    for picture in pictures:
        kind, data = picture["src"].split(";base64,")
        if kind == "data:image/svg+xml":
            svg = base64.b64decode(data).decode()
            assert "<script" not in svg
            assert not re.search(r"href=\"(?!#)", svg)


def test_links_lead_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [a["href"] for a in page.all("a")]
    assert len(links) == 2 + 5 + 4
    assert {link[1:] for link in links} <= set(ids)
    described = [attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs]
    assert set(described) <= set(ids)


def test_everything_is_on_the_page(hostile, page):
    words = page.words
    for column in ("contender", "patient"):
        for name in hostile.table[column].unique():
            assert name in words, name
    for title in ("Niche probe", "Domains", "Expression prediction", "Niche signatures", "Co-expression"):
        assert title in words
    for metric in hostile.table["metric"].unique():
        assert metric in words
    for niche in hostile.table["niche"].unique():
        assert niche in words
    for key, value in flatten(hostile.protocol):
        assert key in words
        assert value in words
    for fact in ("0123456789ab", "f" * 64, "2.4.6", "20 November 2026, 12:00 UTC", "1 min 15 s", "BSD-3-Clause"):
        assert fact in words


def test_findings_are_sorted_by_severity(page):
    words = page.words
    places = [words.index(text) for text in ("2 pairs of samples share counts", "fat is rare in P4", "300 genes.")]
    assert places == sorted(places)
    assert "drop one of each pair." in words


def test_same_results_same_bits_whatever_the_settings(example_results):
    results = example_results(tasks=("niche_probe", "expression"), n_patients=2, n_spots=30)
    html = render_report(results)
    odd = {"axes.facecolor": "black", "font.size": 22, "lines.linewidth": 9, "savefig.dpi": 30, "text.color": "red"}
    with mpl.rc_context(odd):
        before = dict(mpl.rcParams)
        assert render_report(results) == html
        assert dict(mpl.rcParams) == before


def test_no_figure_is_left_open(hostile):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    facts = _only(hostile, "niche_probe")
    dot_plot(hostile, facts)
    map_grid(hostile.observations, facts)
    assert plt.get_fignums() == before


def test_no_display_is_needed(example_results, tmp_path):
    results = example_results(tasks=("niche_probe",), n_patients=2, n_spots=20)
    results.save(tmp_path / "out")
    code = (
        "import sys; from stfmkit.bm._results import Results; "
        f"Results.load({str(tmp_path / 'out')!r}).report({str(tmp_path / 'report.html')!r}); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_one_patient_cannot_be_tested(example_results):
    results = example_results(n_patients=1, tasks=("niche_probe",), split="SpatialBlockKFold", observations=False)
    said = _words(task_verdict(_only(results, "niche_probe")))
    assert said.startswith("neighbor_pca has the highest mean (macro f1 linear: mean 0.5")
    assert "With 1 patient: cannot test. The order describes this patient, nothing more." in said
    assert "is best" not in said
    assert "interval" not in said
    words = Page(render_report(results)).words
    assert "The patient was not held out here (split: SpatialBlockKFold)" in words
    assert "Cannot test; all have the better mean:" in words


def test_a_model_without_any_score_is_named(example_results):
    results = example_results(
        tasks=("niche_probe",), contenders=("hvg_pca", "coordinates", "random"), observations=False
    )
    table = results.table.copy()
    table.loc[table["contender"] == "random", "value"] = np.nan
    results = Results(**{**vars(results), "table": table})
    facts = _only(results, "niche_probe")
    assert "Without any score: random." in _words(task_verdict(facts))
    assert "random" in Page(render_report(results)).words


def test_missing_references_are_said_to_be_missing(example_results):
    results = example_results(tasks=("niche_probe",), contenders=("hvg_pca", "random"), observations=False)
    words = Page(render_report(results)).words
    assert "coordinates was not run." in words
    assert "library_size was not run." in words


def test_zero_observations_and_few_tasks(example_results):
    results = example_results(tasks=("expression",), observations=False)
    page = Page(render_report(results))
    assert len(page.all("img")) == 1
    assert "Where each model is right and wrong" not in page.words
    assert "Niche probe" not in page.words


def test_no_scores_at_all(example_results):
    results = example_results(tasks=("niche_probe",), observations=False)
    empty = Results(**{**vars(results), "table": results.table.iloc[:0], "findings": []})
    words = Page(render_report(empty)).words
    assert "These results hold no scores." in words
    assert "The audit found nothing to report." in words
    assert "No control was scored" in words


def test_what_the_maps_leave_out_is_said(example_results):
    results = example_results(tasks=("niche_probe",), n_patients=8, n_spots=20)
    picture = map_grid(results.observations, _only(results, "niche_probe"))
    assert "6 of 12 samples are shown, patients in turn; not shown: P1_S2, P3_S2, P5_S2, P7_S1, P7_S2 and P8_S1." in (
        picture.note
    )


def test_size_of_maps_is_bounded(example_results):
    results = example_results(tasks=("expression",), n_patients=8, n_spots=1500)
    picture = map_grid(results.observations, _only(results, "expression"))
    assert len(picture.uri) < 2e6
