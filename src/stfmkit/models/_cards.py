"""The cards of the models that come with the package; data only, no model file is imported."""

from stfmkit.models.card import ModelCard
from stfmkit.models.cards import (
    _bert,
    _cellplm,
    _nicheformer,
    _not_runnable,
    _scfoundation,
    _scgpt,
    _scimilarity,
    _stofm,
    _transcriptformer,
    _uce,
)

_HERE = "stfmkit.models.baselines"

LIBRARY_SIZE = ModelCard(
    name="library_size",
    target=f"{_HERE}._library_size:LibrarySize",
    family="baseline",
    summary="Depth alone: log1p of the total counts and of the number of detected genes.",
    needs=("counts",),
    dimension=2,
    source="control for sequencing depth",
)

COORDINATES = ModelCard(
    name="coordinates",
    target=f"{_HERE}._coordinates:Coordinates",
    family="baseline",
    summary="Position alone: x and y, centred and scaled per sample; the alarm for spatial leaks.",
    needs=("coordinates",),
    fits=True,
    uses_neighbors=True,
    dimension=2,
    source="control for spatial autocorrelation",
)

RANDOM = ModelCard(
    name="random",
    target=f"{_HERE}._random:Random",
    family="baseline",
    summary="Noise: independent standard normal numbers for every observation; the floor.",
    needs=("nothing",),
    needs_rng=True,
    source="negative control",
)

RANDOM_SMOOTH = ModelCard(
    name="random_smooth",
    target=f"{_HERE}._random_smooth:RandomSmooth",
    family="baseline",
    summary="Noise averaged over spatial neighbours: smooth in space, and empty.",
    needs=("coordinates",),
    uses_neighbors=True,
    needs_rng=True,
    source="negative control for spatial smoothness",
)

HVG_PCA = ModelCard(
    name="hvg_pca",
    target=f"{_HERE}._hvg_pca:HvgPca",
    family="baseline",
    summary="Principal components of the log-normalised highly variable genes.",
    needs=("counts",),
    fits=True,
    source="Satija et al. 2015, Nat Biotechnol 33:495 (gene choice); PCA",
)

NEIGHBOR_PCA = ModelCard(
    name="neighbor_pca",
    target=f"{_HERE}._neighbor_pca:NeighborPca",
    family="baseline",
    summary="Principal components of expression averaged over spatial neighbours (NichePCA).",
    needs=("counts", "coordinates"),
    fits=True,
    uses_neighbors=True,
    source="NichePCA, Bioinformatics 2025, btaf005",
)

CELLTYPE_COMPOSITION = ModelCard(
    name="celltype_composition",
    target=f"{_HERE}._celltype_composition:CelltypeComposition",
    family="baseline",
    summary="Share of every cell type among an observation and its spatial neighbours.",
    needs=("coordinates", "composition"),
    uses_neighbors=True,
    source="cellular neighbourhoods, Schürch et al. 2020, Cell 182:1341",
)

BASELINES = (LIBRARY_SIZE, COORDINATES, RANDOM, RANDOM_SMOOTH, HVG_PCA, NEIGHBOR_PCA, CELLTYPE_COMPOSITION)

BUILT_IN = (
    *BASELINES,
    *_bert.CARDS,
    *_scgpt.CARDS,
    *_nicheformer.CARDS,
    *_uce.CARDS,
    *_scimilarity.CARDS,
    *_scfoundation.CARDS,
    *_transcriptformer.CARDS,
    *_cellplm.CARDS,
    *_stofm.CARDS,
    *_not_runnable.CARDS,
)
