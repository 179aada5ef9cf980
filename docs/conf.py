"""Configuration of the docs."""

import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from method_pages import write_page as write_methods  # noqa: E402  beside this file
from metric_pages import write_page as write_metrics  # noqa: E402  beside this file
from model_pages import write_pages  # noqa: E402  beside this file

write_pages(HERE / "generated" / "models")
write_metrics(HERE / "generated")
write_methods(HERE / "generated" / "methods.md")

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
