"""The card of one model."""

from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS


def model_card(name: str) -> ModelCard:
    """Return the card of a model; the model itself is not imported.

    Parameters
    ----------
    name
        Registry name, ``name`` or ``name.tag``.

    Raises
    ------
    MissingKeyError
        No model has this name; the nearest names are suggested.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.model_card("hvg_pca").fits
    True
    """
    return MODELS.find(name)
