"""Made-up molecules that several tests bin."""

import numpy as np
import pandas as pd

from stfmkit.pp._grids import HexGrid, SquareGrid

GRIDS: dict[str, HexGrid | SquareGrid] = {
    "hex": HexGrid(pitch=100.0, diameter=55.0),
    "hex_gapless": HexGrid(pitch=60.0, diameter=None),
    "square": SquareGrid(50.0),
}
UM = {"microns_per_unit": 1.0, "show_progress": False}
GENES = ["ACTB", "NANOG", "NEGR1", "NegControlProbe_00001", "BLANK_0002"]


def make_molecules(n: int = 6000, *, seed: int = 0, width: float = 620.0, height: float = 540.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-50, width - 50, n), rng.uniform(30, height + 30, n)
    return pd.DataFrame(
        {
            "x": x,
            "y": y,
            "gene": pd.Categorical(rng.choice(GENES, n, p=[0.4, 0.3, 0.2, 0.06, 0.04])),
            "qv": rng.choice([5.0, 19.9, 20.0, 40.0], n, p=[0.1, 0.1, 0.2, 0.6]),
            "cell_id": np.where(
                rng.random(n) < 0.2,
                "UNASSIGNED",
                [f"c{int(a // 20)}_{int(b // 20)}" for a, b in zip(x, y, strict=True)],
            ),
            "niche": np.where(x + 40 * np.sin(y / 60) > 250, "tumour", "stroma"),
        }
    )


def two_samples() -> pd.DataFrame:
    one, two = make_molecules(2000, seed=1), make_molecules(1500, seed=2, width=330)
    two["x"] += 7.25  # the same frame, another corner
    return pd.concat([one.assign(sample="S2"), two.assign(sample="S1")], ignore_index=True)
