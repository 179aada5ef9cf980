from ._benchmark import benchmark as benchmark
from ._coexpression import coexpression as coexpression
from ._critical_difference import critical_difference as critical_difference
from ._gene_sparsity import gene_sparsity as gene_sparsity
from ._niche_signatures import niche_signatures as niche_signatures
from ._spatial_bins import spatial_bins as spatial_bins
from ._tissue_maps import tissue_maps as tissue_maps

__all__ = [
    "benchmark",
    "coexpression",
    "critical_difference",
    "gene_sparsity",
    "niche_signatures",
    "spatial_bins",
    "tissue_maps",
]
