"""Pure functions: arrays in, numbers or arrays out. `list_metrics` says what each needs and how to read it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
