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


STOPPED, TERMINATED = 130, 143
"""Exit codes of work that Ctrl-C or SIGTERM has stopped: 128 and the number of the signal, as shells do."""


def exit_code(stopped: KeyboardInterrupt) -> int:
    """Return the exit code of what stopped the work."""
    return TERMINATED if isinstance(stopped, _Terminated) else STOPPED


class _Terminated(KeyboardInterrupt):
    """The process was asked to end."""


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
