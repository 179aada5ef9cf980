"""Prepare, embed and judge representations of spatial transcriptomics data, fairly.

Import as ``import stfmkit as sk``. The namespaces load on first use, so that the import is cheap.
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("stfmkit")
_NAMESPACES = ["bm", "datasets", "errors", "io", "methods", "metrics", "models", "pl", "pp", "service", "testing", "tl"]

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=_NAMESPACES)
