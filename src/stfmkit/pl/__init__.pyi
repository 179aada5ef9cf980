from ._benchmark import benchmark as benchmark
from ._gene_sparsity import gene_sparsity as gene_sparsity
from ._spatial_bins import spatial_bins as spatial_bins
from ._tissue_maps import tissue_maps as tissue_maps

__all__ = ["benchmark", "gene_sparsity", "spatial_bins", "tissue_maps"]
