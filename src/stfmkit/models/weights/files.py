"""Files of a published folder, with a record of those that were found."""

from collections.abc import Sequence
from pathlib import Path

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.files import checksum, stamp_of


class Files:
    """Finds files in the published layout and remembers them."""

    def __init__(self) -> None:
        self.found: list[Path] = []
        self._sums: dict[Path, str] = {}
        self._stamps: dict[Path, tuple[int, ...]] = {}
        self._given: Path | None = None

    @property
    def named(self) -> bool:
        """Whether the caller named a file, not a folder."""
        return self._given is not None

    def enter(self, place: Path) -> Path:
        """Return the folder to look in; of a single file, its folder, and the file is preferred to its siblings."""
        if place.is_file():
            self._given = place
            return place.parent
        return place

    def find(self, folder: Path, *names: str, what: str, beside: Sequence[str] = ()) -> Path:
        """Return the first of `names` in a folder, in the folders `beside`, or those of the two folders above.

        A name may be a pattern, such as ``*.ckpt``; of several files that fit, the first by name is taken.
        """
        path = self.look(folder, *names, beside=beside)
        if path is None:
            held = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
            raise MissingFileError(
                f"no {' or '.join(names)} for {what!r} in {folder.name!r}, which holds {listed(held) or 'nothing'}.",
                allowed="a folder in the published layout",
                remedy="pass the folder that holds the published files of this model.",
            )
        return path

    def look(self, folder: Path, *names: str, beside: Sequence[str] = ()) -> Path | None:
        """Return the first of `names`, or None."""
        path = self.peek(folder, *names, beside=beside)
        return None if path is None else self._remember(path)

    def peek(self, folder: Path, *names: str, beside: Sequence[str] = ()) -> Path | None:
        """Return what `look` would, and do not remember it."""
        if self._given is not None and any(self._given.match(name) for name in names):
            return self._given
        roots = [folder, *list(folder.parents)[:2]]
        places = [folder, *(root / name for root in roots for name in beside), *(roots[1:] if beside else [])]
        for place in places:
            for name in names:
                fits = sorted(path for path in place.glob(name) if path.is_file()) if place.is_dir() else []
                if fits:
                    return fits[0]
        return None

    def checksums(self) -> dict[str, str]:
        """Return the sha256 of every file that was found, computed once; of equal names with the folders before.

        Raises
        ------
        InputError
            A file is not the one that was found: nobody can tell which of the two was read.
        """
        for path in self.found:
            if path not in self._sums:
                total = checksum(path)
                if stamp_of(path) != self._stamps[path]:
                    raise InputError(
                        f"{path.name} was changed while the model was loaded.",
                        allowed="files that stay as they are",
                        remedy="load the model again when they are complete.",
                    )
                self._sums[path] = total
        return {_short(path, self.found): total for path, total in self._sums.items()}

    def _remember(self, path: Path) -> Path:
        if path not in self.found:
            self.found.append(path)
            self._stamps[path] = stamp_of(path)
        return path


def _short(path: Path, several: Sequence[Path]) -> str:
    """Return as many of the last parts of a path as tell it from all others."""
    for n in range(1, len(path.parts)):
        if sum(other.parts[-n:] == path.parts[-n:] for other in several) == 1:
            return ":".join(path.parts[-n:])
    return str(path)
