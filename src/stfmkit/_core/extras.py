"""Whether the optional packages of an extra are installed; nothing is imported."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, requires

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*;.*extra\s*==\s*[\"']([^\"']+)[\"']")


@cache
def missing_packages(extra: str | None) -> tuple[str, ...]:
    """Return the packages of an extra of stfmkit that are not installed."""
    if extra is None:
        return ()
    stated = [match for line in requires("stfmkit") or () if (match := _REQUIREMENT.match(line))]
    return tuple(match[1] for match in stated if match[2] == extra and not _installed(match[1]))


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
