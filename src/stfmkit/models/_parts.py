"""Finished parts of an embedding on disk, so that a run that was stopped goes on where it was."""

import hashlib
import io
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.options import exact_options


class Parts:
    """A folder of finished parts, each named by what it was computed from.

    A part is found again only by the same model, weights, options, seed and data, so a changed file or table never
    meets an old vector. A damaged file is computed anew.

    Parameters
    ----------
    folder
        Where the parts are; made where it is not there.
    model
        The model that computes them.
    """

    def __init__(self, folder: Path, model: EmbeddingModel) -> None:
        if model.card.fits:
            raise InputError(
                f"resume= for {model.card.name!r}, which fits on the data.",
                allowed="models that fit nothing",
                remedy="leave resume out.",
            )
        self.folder, self._identity = _writable(folder), _identity(model)

    def get(self, part: Block) -> np.ndarray | None:
        """Return the finished embedding of a part, None where there is none."""
        path = self._path(part)
        if not path.is_file():
            return None
        held = path.read_bytes()
        checksum, values = held[:32], held[32:]
        if hashlib.sha256(values).digest() != checksum:
            return None
        return np.asarray(np.load(io.BytesIO(values), allow_pickle=False))

    def put(self, part: Block, values: np.ndarray) -> None:
        """Keep the embedding of a part."""
        sink = io.BytesIO()
        np.save(sink, values, allow_pickle=False)
        content = sink.getvalue()
        write_atomic(self._path(part), hashlib.sha256(content).digest() + content)

    def _path(self, part: Block) -> Path:
        digest = hashlib.sha256(self._identity.encode())
        for array in _arrays(part):
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return self.folder / f"{digest.hexdigest()[:40]}.part"


def _writable(folder: Path) -> Path:
    """Return a folder that is there and takes files, before any part is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"resume={str(folder)!r}, where no file can be written ({error.strerror or error}).",
            allowed="a folder that is there, or can be made",
            remedy="pass another folder.",
        ) from None


def _identity(model: EmbeddingModel) -> str:
    facts: dict[str, Any] = {
        "stfmkit": version("stfmkit"),
        "card": model.card.name,
        "target": model.card.target,
        "options": exact_options(model),
        "rng": getattr(model, "rng", None),
        "weights": getattr(model, "provenance", {}),
    }
    return repr(facts)


def _arrays(part: Block) -> list[np.ndarray]:
    held: list[Any] = [part.obs_names.to_numpy(dtype=str), part.samples, part.coords, part.composition]
    if part.counts is not None:
        held += [part.counts.indptr, part.counts.indices, part.counts.data]
    if part.genes is not None:
        held.append(part.genes.to_numpy(dtype=str))
    held += [np.asarray(values, dtype=str) for _, values in sorted({**part.obs, **part.var}.items())]
    return [np.asarray(array) for array in held if array is not None]
