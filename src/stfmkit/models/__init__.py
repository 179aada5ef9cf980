"""Models as equals: cards, a catalogue, one contract, and transparent baselines.

A model is a class under `EmbeddingModel` and a `ModelCard`. Looking a network up imports none of its code.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
