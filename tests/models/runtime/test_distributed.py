"""Several processes that embed one table."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stfmkit as sk
from stfmkit.models.runtime import distributed as _share
from stfmkit.models.runtime.distributed import Share, find_share

SCRIPT = """
import os
import sys
import numpy as np
import stfmkit as sk
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._tiny import Tiny

adata = synthetic_counts(gene_ids(30), n_obs=23)
sk.tl.embed(adata, Tiny(weights="random", rng=1), key_added="X_t", show_progress=False)
np.save(f"{sys.argv[1]}/rank{os.environ['RANK']}.npy", adata.obsm["X_t"])
model = Tiny(weights="random", rng=1, on_empty="zero")
adata.X = adata.X.multiply((np.arange(23) // 5 % 2)[:, None]).tocsr()  # all parts of the first process
sk.tl.embed(adata, model, key_added="X_h", show_progress=False)
np.save(f"{sys.argv[1]}/holed{os.environ['RANK']}.npy", adata.obsm["X_h"])
try:
    sk.tl.embed(adata[:5].copy(), model, show_progress=False)
except sk.errors.InputError as error:
    assert "none of the 5 observations" in str(error)
else:
    raise SystemExit("a table without a known gene was embedded")
from accelerate import PartialState
assert PartialState().num_processes == 2
"""


def test_every_part_belongs_to_one_process() -> None:
    parts = [np.arange(i, i + 2) for i in range(0, 14, 2)]
    shares = [Share(rank=rank, n=3).mine(parts) for rank in range(3)]
    held = np.concatenate([part for share in shares for part in share])
    assert sorted(held.tolist()) == list(range(14))


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert find_share() == _share.ALONE


def test_several_processes_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"2 processes[\s\S]*stfmkit\[accelerate\]"):
        find_share()


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    """Two processes, started as ``accelerate launch`` and ``torchrun`` start them, over the loopback."""
    from tests.models.zoo._cases import gene_ids, synthetic_counts
    from tests.models.zoo._tiny import Tiny

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "embed.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[3]
    common = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)], env={**common, "RANK": str(r), "LOCAL_RANK": str(r)}
        )
        for r in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    adata = synthetic_counts(gene_ids(30), n_obs=23)
    sk.tl.embed(adata, Tiny(weights="random", rng=1), key_added="X_t")
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"rank{rank}.npy"), adata.obsm["X_t"], atol=1e-6)
        holed = np.where((np.arange(23) // 5 % 2)[:, None], adata.obsm["X_t"], 0)
        np.testing.assert_allclose(np.load(tmp_path / f"holed{rank}.npy"), holed, atol=1e-6)
