"""The command line; ``stfmkit --help`` teaches it."""

from stfmkit.cli._app import main as main

__all__ = ["main"]
