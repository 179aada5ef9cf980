"""Where a network computes, and in which precision."""

from contextlib import AbstractContextManager, nullcontext

import torch

from stfmkit._core.errors import InputError

DTYPES = ("float32", "bfloat16", "float16")
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384, "mps": 16_384}
"""Tokens of a batch where the caller gives no size; on a CPU the states of a batch stay in its cache."""


def as_device(device: str | None, *, dtype: str = "float32") -> torch.device:
    """Return a device that is there; None is the CPU, "auto" the best one.

    Raises
    ------
    InputError
        The device is unknown or absent, or it does not compute in the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError):
        raise InputError(
            f"device={device!r}.", allowed="'cpu', 'cuda', 'cuda:1', 'mps' or 'auto'", remedy="correct the name."
        ) from None
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(chosen.type, False):
        raise InputError(
            f"device={device!r}, and torch {torch.__version__} finds no such device here.",
            allowed=", ".join(name for name, there in present.items() if there),
            remedy="pass device='cpu', or install a build of torch for the device.",
        )
    if dtype != "float32" and chosen.type != "cuda":
        raise InputError(
            f"dtype={dtype!r} on {chosen.type}.",
            allowed="float32 there; bfloat16 and float16 on CUDA",
            remedy="leave dtype out, or pass device='cuda'.",
        )
    return chosen


def computing(device: torch.device, dtype: str) -> AbstractContextManager[object]:
    """Return the context in which a batch is computed: automatic mixed precision below float32."""
    if dtype == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, dtype))
