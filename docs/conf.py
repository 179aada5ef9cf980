"""Configuration of the docs."""

import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import method_pages  # noqa: E402  beside this file
import metric_pages  # noqa: E402  beside this file
import model_pages  # noqa: E402  beside this file

model_pages.write_pages(HERE / "generated" / "models")
metric_pages.write_page(HERE / "generated")
method_pages.write_page(HERE / "generated" / "methods.md")

# The notebooks stand at the top of the repository, where readers look for them.
shutil.copytree(HERE.parent / "notebooks", HERE / "generated" / "notebooks", dirs_exist_ok=True)

project = "stfmkit"
author = "The stfmkit developers"
copyright = f"{datetime.now(UTC):%Y}, {author}"  # noqa: A001  the name is given by Sphinx
version = release = installed_version("stfmkit")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
html_theme = "sphinx_book_theme"
html_title = "stfmkit"

autosummary_generate = True
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
always_document_param_types = True
typehints_defaults = "braces"

bibtex_bibfiles = ["references.bib"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # tests run the notebooks

intersphinx_mapping = {}  # inventories need a network; the build must not
suppress_warnings = ["myst.xref_missing", "sphinx_autodoc_typehints"]


def keep_returns_whole(*event: Any) -> None:
    """Make the section on what a function returns one text; napoleon would take every line for a value of its own."""
    lines: list[str] = event[-1]
    if "Returns" not in lines:
        return
    start = lines.index("Returns") + 2  # below the line of dashes
    ends = [i - 1 for i in range(start + 1, len(lines)) if lines[i] and set(lines[i]) == {"-"}]
    end = min([*ends, len(lines)])
    lines[start:end] = [":", *(f"    {line}" if line else "" for line in lines[start:end])]


def setup(app: Any) -> None:
    """Let docstrings pass through `keep_returns_whole` before napoleon reads them."""
    app.connect("autodoc-process-docstring", keep_returns_whole, priority=100)
