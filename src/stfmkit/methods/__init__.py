"""Methods behind the verbs of `sk.tl`: cards, a registry, one contract, and native methods.

A method is a card (`MethodCard`) and two verbs, ``requirements()`` and ``run(view, reference, rng=)``. Every method
lies in ``<task>/<name>.py``, where it is found; listing imports no library that it needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
