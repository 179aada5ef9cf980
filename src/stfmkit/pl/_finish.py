"""New axes at the start of a plot, and what becomes of the figure at its end: a file, a window, or neither."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Save: TypeAlias = "str | Path | None"
"""Path of an image file, whose ending names the format; None saves nothing."""

_DPI = 200
"""Dots per inch of what is saved; points of scatter plots are raster also in PDF and SVG."""


def new_axes(ax: "Axes | None", *, width: float, height: float) -> "Axes":
    """Return the axes of the caller, or the axes of a new figure of this size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, new = plt.subplots(figsize=(width, height), layout="constrained")
    return new


def check_save(save: Save) -> None:
    """Refuse, before anything is drawn, a path that no image can be written to.

    Raises
    ------
    MissingFileError
        The folder is not there.
    InputError
        The ending names no format.
    """
    if save is None:
        return
    from matplotlib.backend_bases import FigureCanvasBase

    path = Path(save)
    formats = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.lower().lstrip(".") not in formats:
        raise InputError(
            f"save={str(save)!r}.",
            allowed=f"a path that ends in one of {listed(formats, most=20)}",
            remedy="pass save='figure.pdf' or save='figure.png', for example.",
        )
    if not path.expanduser().parent.is_dir():
        raise MissingFileError(
            f"save={str(save)!r}, and no folder {str(path.parent)!r}.",
            allowed="a path in an existing folder",
            remedy="make the folder first.",
        )


def finish(figure: "Figure | SubFigure", *, show: bool, save: Save) -> None:
    """Save the figure where `save` is a path, and show it where `show` is true."""
    if save is not None:
        root: Figure = figure.figure  # of a figure in a figure, the outer one
        root.savefig(Path(save).expanduser(), dpi=_DPI, bbox_inches="tight")
    if show:
        import matplotlib.pyplot as plt

        plt.show()
