"""The loop in which both sides of `bench_networks.py` answer: one line of JSON for a wish, one for what it took."""

import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def memory(kind: str) -> float:
    """Return what this process holds (VmRSS) or held at most (VmHWM), in MB."""
    return int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def serve(model: Any, folder: Path) -> None:
    """Answer wishes: ``{"do": "tokens" or "embed", "case": table, "save": name or null}``."""
    start, opened = memory("VmRSS"), {}
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # the originals print to the standard output
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            wish = json.loads(line)
            case = wish["case"]
            opened = opened if case in opened else {case: model.open(case)}
            run = getattr(model, wish["do"])
            Path("/proc/self/clear_refs").write_text("5")  # forget the highest memory so far
            began = time.perf_counter()
            with contextlib.redirect_stdout(sys.stderr):
                result = run(opened[case])
            spent = time.perf_counter() - began
            if wish.get("save"):
                np.save(folder / wish["save"], result)
            print(json.dumps({"seconds": spent, "peak_mb": memory("VmHWM") - start}), file=answers, flush=True)
            del result
