"""Optional libraries: one helper that names the extra to install."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or raise an ImportError with the line that installs it."""
    if find_spec(module.partition(".")[0]) is None:
        msg = f"This needs '{module}', which is not installed. Install it with: pip install 'stfmkit[{extra}]'"
        raise ImportError(msg)
    return import_module(module)
