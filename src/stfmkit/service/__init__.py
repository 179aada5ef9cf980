"""Typed requests and responses for every command: what the command line and other machines call."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
