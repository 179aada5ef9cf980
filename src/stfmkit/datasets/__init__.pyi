from ._gene_table import gene_table as gene_table
from ._synthetic_cohort import synthetic_cohort as synthetic_cohort

__all__ = ["gene_table", "synthetic_cohort"]
