"""Published tensors into our modules: renamed, fused, and checked one by one."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._core.random import stream

Rename = Sequence[tuple[str, str]]


def renamed(state: Mapping[str, Tensor], rules: Rename, *, ignore: Sequence[str] = ()) -> dict[str, Tensor]:
    """Return the tensors under new names: all rules in turn, and without those whose old name matches `ignore`."""
    out = {}
    for name, tensor in state.items():
        if any(re.search(pattern, name) for pattern in ignore):
            continue
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        out[new] = tensor
    return out


def fuse_qkv(state: Mapping[str, Tensor], pattern: str, target: str) -> dict[str, Tensor]:
    """Return the tensors with query, key and value of every layer in one.

    Parameters
    ----------
    state
        Tensors by name.
    pattern
        Regular expression with the named groups ``layer``, ``which`` (its first letter is q, k or v) and ``kind``
        ("weight" or "bias").
    target
        New name, with ``{layer}`` and ``{kind}``.
    """
    out: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in state.items():
        found = re.fullmatch(pattern, name)
        if found is None:
            out[name] = tensor
        else:
            parts.setdefault((found["layer"], found["kind"]), {})[found["which"][0]] = tensor
    for (layer, kind), held in parts.items():
        if set(held) == set("qkv"):
            out[target.format(layer=layer, kind=kind)] = torch.cat([held[which] for which in "qkv"])
    return out


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], *, what: str, rename: Rename = (), ignore: Sequence[str] = ()
) -> None:
    """Load published tensors into a module; a missing, further or misshapen tensor is an error that names it.

    The module takes the tensors themselves, so that weights are in memory once; it may be on the meta device.

    Parameters
    ----------
    module
        What to fill.
    state
        Published tensors by name.
    what
        Name of the model, for errors.
    rename
        Pairs of regular expression and replacement, applied in turn.
    ignore
        Regular expressions of published names that an embedding does not need (heads of the training).

    Raises
    ------
    InputError
        The tensors are not those of this model.
    """
    found = renamed(state, rename, ignore=ignore)
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(found))
    further = sorted(set(found) - set(wanted))
    shapes = [
        f"{name}: {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(set(found) & set(wanted))
        if found[name].shape != wanted[name].shape
    ]
    problems = [
        f"{len(names)} {label} ({listed(names, most=3)})"
        for label, names in (("missing", missing), ("not known", further), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise InputError(
            f"a checkpoint that is not one of {what!r}: tensors {'; '.join(problems)}.",
            allowed=f"the {len(wanted)} tensors of the model",
            remedy="pass the checkpoint of this model, with the config that belongs to it.",
        )
    bad = [name for name in wanted if found[name].is_floating_point() and not _finite(found[name])]
    if bad:
        raise InputError(
            f"NaN or infinite weights in the checkpoint of {what!r}: {listed(bad, most=3)}.",
            allowed="finite numbers",
            remedy="download the checkpoint again.",
        )
    held = {name: found[name].to(tensor.dtype).contiguous() for name, tensor in wanted.items()}
    module.load_state_dict(held, strict=True, assign=True)


def _finite(tensor: Tensor) -> bool:
    """Return whether all values are finite; a sum, which is fast, can only be so if they are."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def draw_state(module: nn.Module, *, seed: int, scale: float = 0.02) -> None:
    """Fill a module with random weights that follow from the seed and the name of each tensor alone.

    Matrices are normal with standard deviation `scale`, weights of norms one, biases zero; buffers stay.
    """
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.ndim > 1:
                drawn = stream(seed, name).standard_normal(tuple(tensor.shape), dtype=np.float32) * np.float32(scale)
                tensor.copy_(torch.from_numpy(drawn))
            else:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)
