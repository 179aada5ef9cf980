from ._synthetic_cohort import synthetic_cohort as synthetic_cohort

__all__ = ["synthetic_cohort"]
