"""Optional libraries: what is installed of an extra, and which extra installs a module."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.util import find_spec
from types import ModuleType


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or raise an ImportError with the line that installs it."""
    if find_spec(module.partition(".")[0]) is None:
        msg = f"This needs '{module}', which is not installed. Install it with: pip install 'stfmkit[{extra}]'"
        raise ImportError(msg)
    return import_module(module)


def missing_packages(extra: str | None) -> tuple[str, ...]:
    """Return the packages of an extra of stfmkit that are not installed."""
    if extra is None:
        return ()
    from packaging.requirements import Requirement

    stated = [Requirement(line) for line in requires("stfmkit") or ()]
    wanted = [
        r.name
        for r in stated
        if r.marker is not None and "extra" in str(r.marker) and r.marker.evaluate({"extra": extra})
    ]
    return tuple(name for name in wanted if not _installed(name))


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
