"""The command line; ``stfmkit --help`` teaches it."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with an exit code, also if it is stopped while it starts."""
    try:
        from stfmkit.cli._app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Nothing was written.\n")
        sys.exit(130)
