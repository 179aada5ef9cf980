"""The genes: markers, co-expression modules, gradients, ligands and receptors, panels. One set for a whole cohort."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stfmkit.datasets._cohort_config import CohortConfig

N_GRADIENTS = 2
_MARKER_SHARE, _MODULE_SHARE, _GRADIENT_SHARE, _NICHE_SHARE = 0.35, 0.65, 0.15, 0.12
_CORE_SHARE = 0.5


@dataclass(frozen=True)
class Programs:
    """What raises and lowers each gene, on the scale of natural logarithms."""

    base: np.ndarray
    """Shape (n_genes,)."""
    type_effect: np.ndarray
    """Shape (n_cell_types, n_genes)."""
    niche_effect: np.ndarray
    """Shape (n_niches, n_genes); the same for every type."""
    weights: np.ndarray
    """Effect of one unit of each program, shape (n_programs, n_genes)."""
    names: list[str]
    """Names of the programs: modules, gradients, then senders and receivers of each pair."""
    module_types: np.ndarray
    """How active a module is in each type, shape (n_cell_types, n_modules)."""
    pairs: pd.DataFrame
    """Ligand, receptor, and the niches on the two sides of the border, as numbers."""
    panels: np.ndarray
    """Which panel holds which gene, shape (n_panels, n_genes), bool."""
    type_size: np.ndarray
    """Relative amount of RNA of each type."""
    type_radius: np.ndarray
    """Relative radius of each type."""
    truth: pd.DataFrame
    """Columns for ``var``, by gene."""

    @property
    def n_modules(self) -> int:
        """Number of co-expression modules."""
        return self.module_types.shape[1]


def draw_programs(config: CohortConfig) -> Programs:
    """Draw what the genes do."""
    rng = config.stream("genes")
    n, types = config.n_genes, config.n_cell_types
    order = rng.permutation(n)
    n_pairs, n_modules = min(12, max(1, n // 50)), min(24, max(2, n // 40))
    ligand, receptor, rest = order[:n_pairs], order[n_pairs : 2 * n_pairs], order[2 * n_pairs :]

    type_effect, marker_of = _markers(rng, rest, shape=(types, n))
    module = np.full(n, -1)
    members = rng.permutation(rest)[: int(_MODULE_SHARE * n)]
    module[members] = np.arange(len(members)) % n_modules
    module_weights = np.zeros((n_modules, n))
    module_weights[module[members], members] = rng.uniform(0.6, 1.2, size=len(members))

    gradient_weights = np.zeros((N_GRADIENTS, n))
    graded = rng.permutation(rest)[: max(N_GRADIENTS, int(_GRADIENT_SHARE * n))]
    gradient = np.full(n, -1)
    gradient[graded] = np.arange(len(graded)) % N_GRADIENTS
    gradient_weights[gradient[graded], graded] = rng.choice([-1, 1], len(graded)) * rng.uniform(0.2, 0.5, len(graded))

    pair_weights = np.zeros((2 * n_pairs, n))
    pair_weights[np.arange(n_pairs), ligand] = rng.uniform(1.0, 1.8, size=n_pairs)
    pair_weights[n_pairs + np.arange(n_pairs), receptor] = rng.uniform(1.0, 1.8, size=n_pairs)

    shifted = rng.random((config.n_niches, n)) < _NICHE_SHARE
    module_types = np.where(rng.random((types, n_modules)) < 0.6, 1.0, 0.35)
    names = [f"module_{m}" for m in range(1, n_modules + 1)] + [f"gradient_{g}" for g in range(1, N_GRADIENTS + 1)]
    names += [f"{role}_{p}" for role in ("sender", "receiver") for p in range(1, n_pairs + 1)]
    genes = np.array(config.gene_names)
    truth = pd.DataFrame(
        {
            "marker_of": np.append(config.type_names, "")[marker_of],
            "module": np.append(names[:n_modules], "")[module],
            "gradient": np.append(names[n_modules : n_modules + N_GRADIENTS], "")[gradient],
            "ligand_of": _partner(n, ligand, genes[receptor]),
            "receptor_of": _partner(n, receptor, genes[ligand]),
        },
        index=pd.Index(config.gene_names),
    )
    return Programs(
        base=rng.normal(0, 0.8, size=n),
        type_effect=type_effect,
        niche_effect=np.where(shifted, rng.normal(0, 0.4, size=shifted.shape), 0),
        weights=np.concatenate([module_weights, gradient_weights, pair_weights]),
        names=names,
        module_types=module_types,
        pairs=_pairs(rng, ligand, receptor, n_niches=config.n_niches),
        panels=_panels(config),
        type_size=np.exp(rng.normal(0, 0.12, size=types)),
        type_radius=rng.permutation(np.linspace(0.8, 1.15, types)),
        truth=truth,
    )


def _markers(rng: np.random.Generator, genes: np.ndarray, *, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Raise some genes in one type, and weakly in a second one half of the time."""
    types, n = shape
    chosen = rng.permutation(genes)[: max(types, int(_MARKER_SHARE * n))]
    home = np.arange(len(chosen)) % types
    height = rng.uniform(0.9, 2.0, size=len(chosen))
    effect = np.zeros(shape)
    second = (home + rng.integers(1, types, size=len(chosen))) % types
    effect[second, chosen] = np.where(rng.random(len(chosen)) < 0.5, 0.5 * height, 0)
    effect[home, chosen] = height
    marker_of = np.full(n, -1)
    marker_of[chosen] = home
    return effect, marker_of


def _pairs(rng: np.random.Generator, ligand: np.ndarray, receptor: np.ndarray, *, n_niches: int) -> pd.DataFrame:
    sender = np.arange(len(ligand)) % n_niches
    return pd.DataFrame(
        {
            "ligand": ligand,
            "receptor": receptor,
            "sender_niche": sender,
            "receiver_niche": (sender + rng.integers(1, n_niches, size=len(ligand))) % n_niches,
        }
    )


def _panels(config: CohortConfig) -> np.ndarray:
    """Give half of the genes to every panel and deal the others out, one panel each."""
    held = np.ones((config.n_panels, config.n_genes), dtype=bool)
    if config.n_panels > 1:
        dealt = config.stream("panels").permutation(config.n_genes)[int(_CORE_SHARE * config.n_genes) :]
        held[:, dealt] = False
        held[np.arange(len(dealt)) % config.n_panels, dealt] = True
    return held


def _partner(n: int, genes: np.ndarray, partners: np.ndarray) -> np.ndarray:
    names = np.full(n, "", dtype=object)
    names[genes] = partners
    return names
