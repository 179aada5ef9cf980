"""Checks for authors of models, methods and tasks: whether these keep the contracts that the benchmark relies on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
