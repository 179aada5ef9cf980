"""Models as equals: cards, a registry, one contract, and transparent baselines.

A model is a card (`ModelCard`) and two verbs, ``prepare(block)`` and ``encode(batch)``; models that learn from the data
also have ``fit(block)``. Looking a model up imports none of its code.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
