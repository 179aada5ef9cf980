"""The command line; ``stfmkit --help`` teaches it."""

import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with an exit code, also if it is stopped while it starts.

    SIGTERM, which batch systems and containers send, stops it as Ctrl-C does.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        from stfmkit.cli._app import main as run

        run()
    except KeyboardInterrupt as stopped:
        sys.stderr.write("\nStopped. Nothing was written.\n")
        sys.exit(exit_code(stopped))
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(stopped: KeyboardInterrupt) -> int:
    """Return 128 and the number of the signal that stopped the work, as shells do."""
    return 128 + (signal.SIGTERM if isinstance(stopped, _Terminated) else signal.SIGINT)


class _Terminated(KeyboardInterrupt):
    """The process was asked to end."""


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
