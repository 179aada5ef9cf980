"""Co-expression as a heat map, truth against prediction."""

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.view import resolve_table
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import PALE, plain, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit._data.view import Container
    from stfmkit.pl._finish import Save

_SHOWN = ("ssim_ordered", "offdiagonal_correlation")
_TRUTHS = {"truth=latent": "with the latent truth", "truth=raw": "with the raw truth"}
"""The truth of the scores in the title, the better one first, and its words."""


def coexpression(
    data: "Container",
    *,
    key: str = "coexpression",
    which: str | None = None,
    max_labels: int = 40,
    table_key: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> "Axes":
    """Plot the correlations that :func:`stfmkit.tl.coexpression` stored, with the genes in the stored order.

    With a prediction, the truth stands above the diagonal and the prediction below it: a good prediction looks like
    its mirror image. Genes without variation are grey.

    Parameters
    ----------
    data
        AnnData or SpatialData with the result.
    key
        Key of the result: the ``key_added`` of the verb that wrote it.
    which
        Matrix to show: "both", "truth" or "predicted"; None for "both" where there is a prediction, else "truth".
    max_labels
        Largest number of genes that are named.
    table_key
        Table of a SpatialData.
    ax
        Axes to draw on, None for a new figure.
    show
        Show the figure.
    save
        Path of an image file to write, None for none; the ending names the format.

    Returns
    -------
    The Axes.

    Raises
    ------
    MissingKeyError
        The slots are not there.
    InputError
        The genes of the table are not those of the run.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> adata = AnnData(np.ones((3, 2)), varp={"coexpression": np.array([[1.0, 0.5], [0.5, 1.0]])})
    >>> adata.uns["coexpression"] = {"order": np.array(["1", "0"], dtype=object)}
    >>> [label.get_text() for label in sk.pl.coexpression(adata).get_yticklabels()]
    ['1', '0']
    """
    check_integer(max_labels, name="max_labels", least=0)
    check_save(save)
    adata = resolve_table(data, table_key=table_key)
    has_prediction = f"{key}_predicted" in adata.varp
    if which is None:
        which = "both" if has_prediction else "truth"
    check_choice(which, ("both", "truth", "predicted"), name="which")
    order = _order(adata, key)
    picture = _matrix(adata, key, order) if which != "predicted" else _matrix(adata, f"{key}_predicted", order)
    if which == "both":
        below = np.tril_indices(len(order), -1)
        picture[below] = _matrix(adata, f"{key}_predicted", order)[below]
    np.fill_diagonal(picture, np.nan)
    with style():
        ax = new_axes(ax, width=5.6, height=4.8)
        _draw(ax, picture, adata.var_names[order].tolist(), max_labels=max_labels)
        ax.set_title(_title(adata, key, which), loc="left")
        finish(ax.figure, show=show, save=save)
    return ax


def _order(adata: AnnData, key: str) -> np.ndarray:
    stored = adata.uns.get(key)
    if key not in adata.varp or not hasattr(stored, "get") or stored.get("order") is None:
        raise MissingKeyError(
            f"no varp[{key!r}] with uns[{key!r}]['order'].",
            allowed=f"the slots of sk.tl.coexpression; varp has {listed(adata.varp)}",
            remedy="run sk.tl.coexpression(adata) first, and pass its key_added as key=.",
        )
    positions = adata.var_names.get_indexer([str(name) for name in stored["order"]])
    if (positions < 0).any():
        raise InputError(
            f"{int((positions < 0).sum())} genes of the stored order are not in var.",
            allowed="the genes of the run",
            remedy="run sk.tl.coexpression again on this table.",
        )
    return positions


def _matrix(adata: AnnData, slot: str, order: np.ndarray) -> np.ndarray:
    if slot not in adata.varp:
        raise MissingKeyError(
            f"no varp[{slot!r}].",
            allowed=f"one of {listed(adata.varp)}",
            remedy="run sk.tl.coexpression with prediction=, or pass which='truth'.",
        )
    return np.asarray(adata.varp[slot], dtype=np.float64)[np.ix_(order, order)]


def _draw(ax: "Axes", picture: np.ndarray, names: list[str], *, max_labels: int) -> None:
    ax.set_facecolor(PALE)
    image = ax.imshow(picture, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ticks = range(len(names)) if len(names) <= max_labels else range(0)
    labels = [plain(name) for name in names][: len(ticks)]
    ax.set_xticks(list(ticks), labels, rotation=90, fontsize=6)
    ax.set_yticks(list(ticks), labels, fontsize=6)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.7)
    bar.set_label("correlation")


def _title(adata: AnnData, key: str, which: str) -> str:
    titles = {"both": "truth above, prediction below the diagonal", "truth": "truth", "predicted": "prediction"}
    scores = adata.uns[key].get("scores")
    if scores is None or which == "truth":
        return titles[which]
    of_prediction = ~scores["contender"].astype(str).str.startswith(CONTROL) & (scores["status"] == "scored")
    settings = scores["setting"].astype(str)
    of_prediction &= ~settings.str.contains("method=")
    for truth, words in _TRUTHS.items():
        rows = scores[of_prediction & settings.str.contains(truth)].drop_duplicates("metric")
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        found = [f"{name.replace('_', ' ')} {values[name]:.2f}" for name in _SHOWN if name in values]
        if found:
            return f"{titles[which]}\n{', '.join(found)} {words}"
    return titles[which]
