"""Optional libraries: what is installed of an extra, and which extra installs a module."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or raise an ImportError with the line that installs it."""
    if find_spec(module.partition(".")[0]) is None:
        msg = f"This needs '{module}', which is not installed. Install it with: pip install 'stfmkit[{extra}]'"
        raise ImportError(msg)
    return import_module(module)


def missing_packages(extra: str | None) -> tuple[str, ...]:
    """Return the packages of an extra of stfmkit that are not installed."""
    return tuple(name for name in packages_of(extra) if not _installed(name))


def packages_of(extra: str | None) -> tuple[str, ...]:
    """Return the packages of an extra of stfmkit; none for None."""
    return () if extra is None else required_packages("stfmkit", extra=extra)


def required_packages(distribution: str, *, extra: str | None = None) -> tuple[str, ...]:
    """Return what a distribution requires here: for an extra, or without any."""
    from packaging.requirements import Requirement

    stated = [Requirement(line) for line in requires(distribution) or ()]
    return tuple(r.name for r in stated if _is_of(r, extra))


def _is_of(requirement: "Requirement", extra: str | None) -> bool:
    """Tell whether a requirement is of an extra, or for None of none, on this machine."""
    marker = requirement.marker
    if extra is None:
        return marker is None or marker.evaluate({"extra": ""})
    return marker is not None and "extra" in str(marker) and marker.evaluate({"extra": extra})


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
