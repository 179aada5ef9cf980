"""Whether the optional packages of an extra are installed; nothing is imported."""

from importlib.metadata import PackageNotFoundError, distribution, requires


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
