from ._align_panels import align_panels as align_panels
from ._bin import bin as bin  # noqa: A004  the verb of the field
from ._bin_hest import bin_hest as bin_hest
from ._filter_genes import filter_genes as filter_genes
from ._gene_sparsity import gene_sparsity as gene_sparsity
from ._grids import HexGrid as HexGrid
from ._grids import SpotGrid as SpotGrid
from ._grids import SquareGrid as SquareGrid
from ._normalize import normalize as normalize
from ._select_genes import select_genes as select_genes
from ._spatial_graph import spatial_graph as spatial_graph
from ._split import split as split
from ._splitters import LeavePanelOut as LeavePanelOut
from ._splitters import PatientKFold as PatientKFold
from ._splitters import RandomKFold as RandomKFold
from ._splitters import SlideKFold as SlideKFold
from ._splitters import SpatialBlockKFold as SpatialBlockKFold
from ._xisium import xisium as xisium
