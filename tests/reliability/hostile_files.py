"""Small files that ask for more memory or time than there is, each given to its reader; run as a program of its own.

Each line is ``file: seconds, MB: outcome``. The process may take one GiB more than the imported libraries.
"""

import io
import json
import resource
import signal
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from anndata import AnnData
from safetensors.torch import save_file

import stfmkit as sk
from stfmkit.errors import StfmkitError
from stfmkit.models.weights.tables import read_json, read_mapping
from stfmkit.models.weights.tensors import read_state, read_tensor
from stfmkit.models.zoo.stformer.files import read_module
from stfmkit.service import read_request

SECONDS, BYTES = 10, 2**30
Reader = Callable[[Path], Any]


def archive(program: bytes, *, members: dict[str, bytes] | None = None, packed: bool = False) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as held:
        held.writestr("m/data.pkl", program)
        held.writestr("m/version", "3\n")
        held.writestr("m/byteorder", "little")
        for name, content in (members or {}).items():
            held.writestr(f"m/{name}", content)
    return sink.getvalue()


def saved(value: Any, **how: Any) -> bytes:
    sink = io.BytesIO()
    torch.save(value, sink, **how)
    return sink.getvalue()


def shared(depth: int) -> bytes:
    """Modules, each of which has the next one twice."""
    program = b"\x80\x02cx\nM\n)Rq\x00}(U\x08_modules}ub"
    for i in range(depth):
        program += b"cx\nM\n)R" + b"r" + struct.pack("<I", i + 1)
        program += b"}(U\x08_modules}(U\x01aj" + struct.pack("<I", i) + b"U\x01bj" + struct.pack("<I", i) + b"uub"
    return archive(program + b".")


CIRCLE = archive(b"\x80\x02cx\nM\n)Rq\x00}(U\x08_modules}(U\x01ah\x00U\x01bh\x00uub.")
MEMORY = b"\x80\x02}r\xff\xff\xff\x0f."
HEX = b"\x80\x02c_codecs\nencode\nq\x00U\x01xq\x01" + b"0h\x00h\x01U\x03hex\x86Rq\x01" * 33 + b"."
DEEP = b"\x80\x02}" + b")" + b"\x85" * 99_000 + b"Ns."
SETS = b"\x80\x02]q\x01(" + b"".join(b"M" + struct.pack("<H", i) for i in range(15_000)) + b"e\x85q\x02"
SETS += b"c__builtin__\nset\nq\x00" + b"h\x00h\x02R" * 9_000 + b"."
ONE = torch.zeros(1).as_strided((2**30,), (0,))
MANY = {f"t{i}": torch.zeros(1).as_strided((2**24,), (0,)) for i in range(60)}
ZEROS = archive(b"\x80\x02}.", members={"data/0": bytes(60_000_000)}, packed=True)


def header(text: bytes, *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def tensors_of_nothing(n: int) -> bytes:
    parts = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(n)}
    return header(json.dumps(parts).encode())


LAUGHS = "a0: &a0 [ha]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
FILES: dict[str, tuple[Reader, str, bytes]] = {
    "modules shared 60 deep": (read_module, "m.ckpt", shared(60)),
    "modules in a circle": (read_module, "m.ckpt", CIRCLE),
    "module of one number": (read_module, "m.ckpt", saved(ONE)),
    "module of packed zeros": (read_module, "m.ckpt", ZEROS),
    "module with memory": (read_module, "m.ckpt", archive(MEMORY)),
    "module with a deep tuple": (read_module, "m.ckpt", archive(DEEP)),
    "module with sets": (read_module, "m.ckpt", archive(SETS)),
    "module of bytes in hex": (read_module, "m.ckpt", archive(HEX)),
    "state of one number": (read_state, "m.bin", saved({"w": ONE})),
    "state of many numbers": (read_state, "m.bin", saved({"state_dict": MANY})),
    "state of one number, older format": (read_state, "m.bin", saved({"w": ONE}, _use_new_zipfile_serialization=False)),
    "state of packed zeros": (read_state, "m.bin", ZEROS),
    "state with memory": (read_state, "m.bin", archive(MEMORY)),
    "state of bytes in hex": (read_state, "m.bin", archive(HEX)),
    "state with a deep tuple": (read_state, "m.bin", archive(DEEP)),
    "state without storage": (read_state, "m.bin", saved({"w": torch.empty(2**40, device="meta")})),
    "state of coordinates": (
        read_state,
        "m.bin",
        saved({"w": torch.sparse_coo_tensor([[0], [0]], [1.0], (2**30, 2**30), check_invariants=True)}),
    ),
    "tensor of one number": (read_tensor, "t.torch", saved(ONE)),
    "header of many tensors": (read_state, "m.safetensors", tensors_of_nothing(1_500)),
    "header of 4 TiB": (read_state, "m.safetensors", header(b"{}", length=2**42)),
    "header that is deep": (read_state, "m.safetensors", header(b'{"a":' + b"[" * 90_000)),
    "dictionary with memory": (read_mapping, "d.pkl", MEMORY),
    "dictionary of bytes in hex": (read_mapping, "d.pkl", HEX),
    "dictionary with a deep tuple": (read_mapping, "d.pkl", DEEP),
    "dictionary with sets": (read_mapping, "d.pkl", SETS),
    "dictionary that is deep": (read_mapping, "d.pkl", b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."),
    "json that is deep": (read_json, "d.json", b"[" * 100_000),
    "json of a long number": (read_json, "d.json", b"9" * 100_000),
    "request of aliases": (read_request, "r.yaml", LAUGHS.encode()),
    "request that is deep": (read_request, "r.yaml", b"a: " + b"[" * 50_000),
    "request that is deep, json": (read_request, "r.json", b"[" * 100_000),
    "request of many names": (read_request, "r.yaml", b"".join(b"a%d: 1\n" % i for i in range(9_000))),
}


def h5ad(change: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "t.h5ad"
        AnnData(np.ones((3, 2), dtype=np.float32)).write_h5ad(path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def large(shape: tuple[int, int]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        held = dict(file["X"].attrs)
        del file["X"]
        made = file.create_dataset("X", shape=shape, dtype="f4", chunks=(1024, 1024), compression="gzip")
        made.attrs.update(held)

    return change


def unknown(file: h5py.File) -> None:
    file["X"].attrs["encoding-type"] = "a-new-kind"


def zarr(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "t.zarr"
        AnnData(np.ones((3, 2), dtype=np.float32)).write_zarr(path)
        for name in ("X/.zarray", "X/.zattrs", "X/zarr.json"):
            if (path / name).exists():
                stated = json.loads((path / name).read_text())
                change(stated)
                (path / name).write_text(json.dumps(stated))
        for name in ("zarr.json", ".zmetadata"):
            if (path / name).exists():
                stated = json.loads((path / name).read_text())
                stated.pop("consolidated_metadata", None)
                (path / name).write_text(json.dumps(stated)) if name == "zarr.json" else (path / name).unlink()
        return path

    return make


def shaped(stated: dict[str, Any]) -> None:
    if "shape" in stated:
        stated["shape"] = [2**17, 2**18]


def other_encoding(stated: dict[str, Any]) -> None:
    for held in (stated, stated.get("attributes", {})):
        if "encoding-type" in held:
            held["encoding-type"] = "a-new-kind"


TABLES: dict[str, Callable[[Path], Path]] = {
    "h5ad of 128 GiB": h5ad(large((2**17, 2**18))),
    "h5ad of 2 GiB": h5ad(large((2**14, 2**15))),
    "h5ad of an unknown kind": h5ad(unknown),
    "zarr of 128 GiB": zarr(shaped),
    "zarr of an unknown kind": zarr(other_encoding),
}


def say(name: str, read: Callable[[], Any]) -> None:
    sys.stdout.write(f"{name}: ")
    sys.stdout.flush()
    start = time.perf_counter()
    signal.alarm(SECONDS + 10)
    try:
        read()
        outcome = "read"
    except StfmkitError as error:
        long = "" if len(str(error)) < 2_000 else f" in {len(str(error))} letters"
        outcome = f"refused{long}: {error}"
    except Exception as error:  # noqa: BLE001  the outcome that is looked for
        outcome = f"ERROR {type(error).__name__}: {error}"
    signal.alarm(0)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{seconds:.1f}, {peak}: {' '.join(outcome.split())[:400]}\n")


def main() -> None:
    save_file({"a": torch.zeros(1)}, Path(tempfile.mkdtemp()) / "warm.safetensors")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES,) * 2)
    sys.stdout.write(f"start: 0, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}: read\n")
    for name, (read, file, content) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(content)
            say(name, lambda read=read, path=path: read(path))
    for name, make in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder))
            say(name, lambda path=path: sk.io.read(path))


if __name__ == "__main__":
    main()
