"""Pickles of plain values: numbers, text, lists and dictionaries, and the numbers and arrays of numpy.

A pickle is a program. This one may call what stands here and nothing else, and what stands here makes values of bytes
whose number it has checked. It is read once before it runs, for what would exhaust memory or the stack.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from stfmkit._core.limits import check_limit

_DTYPE = re.compile(r"[biufSU]\d{1,6}")
_WIDTHS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}
_LAST_CHARACTER = 0x10FFFF
_SPARE = 1_000_000


def read_plain(content: bytes, *, what: str) -> Any:
    """Return what a pickle of plain values holds; nothing outside this file is called.

    Parameters
    ----------
    content
        The pickle.
    what
        Name of the file, for errors.

    Raises
    ------
    InputError
        It is above a limit of `stfmkit._core.limits`.
    pickle.UnpicklingError, ValueError, TypeError, ...
        It names something else, or is broken.
    """
    check_program(io.BytesIO(content), n_bytes=len(content), what=what)
    return _Unpickler(content, what).load()


class _Maker:
    """A function that a pickle may call, and do nothing else with."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *given: Any) -> Any:
        return self._make(*given)

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError("it changes what it may only call")


class _Dtype:
    """A type of numbers or text, as a pickle describes it."""

    def __init__(self, text: object, *_flags: object) -> None:
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise pickle.UnpicklingError("it names a type that is not of numbers or text")
        kind, width = text[0], int(text[1:])
        if width not in _WIDTHS.get(kind, (width,)) or not width:
            raise pickle.UnpicklingError(f"it names the type {text}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: object) -> None:
        """Take the order of bytes, the only thing that may be said."""
        if not isinstance(state, tuple) or len(state) < 8 or state[1] not in {"<", ">", "|", "="}:
            raise pickle.UnpicklingError("it describes a type in an unknown way")
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("it names a type with fields")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes its numbers as a pickle gives them, after they were counted."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, by_columns, raw = state
        if version != 1 or type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise pickle.UnpicklingError("it gives an array a shape that is none")
        values = _values(dtype, raw)
        n = 1
        for side in shape:
            n *= side
        if n != len(values):
            raise pickle.UnpicklingError(f"it gives {len(values)} numbers for an array of {n}")
        checked: Any = (1, shape, values.dtype, bool(by_columns), values.tobytes())
        super().__setstate__(checked)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how numpy writes the array."""
        made: tuple[Any, ...] = np.ndarray.__reduce__(self.view(np.ndarray))  # type: ignore[assignment]
        return made


_ARRAY = object()  # what a pickle names numpy.ndarray; it can be handed on, not called


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, what: str) -> None:
        super().__init__(io.BytesIO(content))
        self._spent, self._times, self._what = 0, len(content), what
        arrays = {"scalar": _Maker(self._scalar), "_reconstruct": _Maker(self._array)}
        self._named: dict[tuple[str, str], Any] = {
            ("builtins", "set"): _Maker(lambda held=(): set(self._counted(held))),
            ("builtins", "frozenset"): _Maker(lambda held=(): frozenset(self._counted(held))),
            ("builtins", "bytes"): _Maker(lambda: b""),  # how protocols below 3 write no bytes
            ("builtins", "complex"): _Maker(_complex),
            ("collections", "OrderedDict"): _Maker(lambda held=(): dict(self._counted(held))),
            ("numpy", "dtype"): _Maker(_Dtype),
            ("numpy", "ndarray"): _ARRAY,
            ("_codecs", "encode"): _Maker(self._encoded),
        }
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self._named |= {(module, name): maker for name, maker in arrays.items()}

    def find_class(self, module: str, name: str) -> Any:
        """Return our function for a name, or refuse the name."""
        module = {"__builtin__": "builtins"}.get(module, module)
        if (module, name) not in self._named:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self._named[module, name]

    def _spend(self, n: int) -> None:
        self._spent += max(n, 8)
        if self._spent > _SPARE:
            found = f"{self._what} of {self._times:,} bytes that makes {self._spent:,} bytes or more of them"
            check_limit("pickle_growth", self._spent, what=found, times=self._times)

    def _counted(self, held: object) -> Iterable[Any]:
        if not isinstance(held, (list, tuple, dict)):
            raise pickle.UnpicklingError("it makes a set or a dictionary of something else than values")
        self._spend(8 * len(held))
        return held

    def _encoded(self, text: object, code: object = "latin1") -> bytes:
        if not isinstance(text, str) or code not in {"latin1", "latin-1"}:
            raise pickle.UnpicklingError("it encodes in another way than latin1")
        self._spend(len(text))
        return text.encode("latin1")

    def _scalar(self, dtype: object, raw: object) -> Any:
        values = _values(dtype, raw)
        self._spend(values.nbytes)
        if len(values) != 1:
            raise pickle.UnpicklingError(f"it gives {len(values)} numbers for one")
        return values[0]

    def _array(self, kind: object, shape: object, _code: object) -> _Array:
        if kind is not _ARRAY or shape != (0,):
            raise pickle.UnpicklingError("it makes an array in an unknown way")
        self._spend(1)
        return np.ndarray.__new__(_Array, (0,), np.int8)


def _complex(real: object, imaginary: object) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise pickle.UnpicklingError("it makes a complex number of something else than two numbers")
    return complex(real, imaginary)


def _values(dtype: object, raw: object) -> np.ndarray:
    """Return the numbers or texts that bytes hold, checked, as their own type."""
    if not isinstance(dtype, _Dtype) or type(raw) is not bytes:
        raise pickle.UnpicklingError("it makes numbers of something else than bytes")
    kind = dtype.dtype
    if len(raw) % kind.itemsize:
        raise pickle.UnpicklingError(f"it has {len(raw)} bytes for numbers of {kind.itemsize}")
    if kind.kind == "b" and raw.translate(None, b"\x00\x01"):
        raise pickle.UnpicklingError("it has truth values that are neither")
    if kind.kind == "U":
        letters = np.frombuffer(raw, dtype=f"{kind.str[0]}u4")
        if letters.size and int(letters.max()) > _LAST_CHARACTER:
            raise pickle.UnpicklingError("it has text of characters that do not exist")
    return np.frombuffer(raw, dtype=kind)


def check_program(content: BinaryIO, *, n_bytes: int, what: str, forbidden: frozenset[str] = frozenset()) -> None:
    """Refuse a pickle that would exhaust memory or the stack, without running it; it is read up to its end.

    Refused are numbers of the memory above the bytes, tuples whose hash would be endless, and names that are forbidden,
    "module name" each. The values on the stack stand as the number of values in them where they are tuples, and as 0
    otherwise: only a tuple of tuples is walked, by its hash, without a check of depth.
    """
    stack: list[int | None] = []
    memory: dict[int, int] = {}
    for opcode, argument, _at in pickletools.genops(content):
        name, before = opcode.name, opcode.stack_before
        given = argument if isinstance(argument, int) else 0
        if isinstance(argument, str) and argument in forbidden:
            raise pickle.UnpicklingError(f"it names {argument}")
        if name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            found = f"{what} of {n_bytes:,} bytes that remembers a value under the number {given:,}"
            check_limit("pickle_index", given, what=found, times=n_bytes)
            memory[given] = stack[-1] or 0
        elif name == "MEMOIZE":
            memory[len(memory)] = stack[-1] or 0
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(memory[given])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(None)
        else:
            held = list(_taken(stack, before))
            if name.startswith("TUPLE") or name == "EMPTY_TUPLE":
                size = 1 + sum(max(1, n) for n in held)
                if any(held):
                    check_limit("pickle_tuple", size, what=f"{what} with a tuple of tuples of {size:,} values")
                stack.append(size)
            else:
                stack += [0] * len(opcode.stack_after)


def _taken(stack: list[int | None], before: list[pickletools.StackObject]) -> Iterator[int]:
    """Take from the stack what an operation takes: down to the mark where it has one, and what lies below."""
    below = before
    if pickletools.markobject in before:
        below = before[: before.index(pickletools.markobject)]
        while (top := stack.pop()) is not None:
            yield top
    for _ in below:
        yield stack.pop() or 0
