"""``python -m stfmkit`` is the command ``stfmkit``."""

from stfmkit.cli import main

if __name__ == "__main__":
    main()
