"""Add a model to the registry of this session."""

from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS


def register_model(card: ModelCard, *, overwrite: bool = False) -> None:
    """Make a model known by its card, for this Python session.

    A package makes its models known for good with an entry point of the group ``stfmkit.models`` that holds a card
    or a list of cards. Check the model itself with `stfmkit.testing.check_model`.

    Parameters
    ----------
    card
        The facts of the model.
    overwrite
        Replace a model of the same name.

    Raises
    ------
    InputTypeError
        `card` is not a card.
    InputError
        The card is not well formed, or its name is taken.

    Examples
    --------
    A new model::

        card = sk.models.ModelCard(
            name="my-model.v1",
            target="my_package.models:MyModel",  # a class under sk.models.EmbeddingModel
            family="rna",
            summary="What it does, in one sentence.",
            needs=("counts",),
        )
        sk.models.register_model(card)

    A name that is taken is replaced on request only:

    >>> import stfmkit as sk
    >>> sk.models.register_model(sk.models.model_card("hvg_pca"), overwrite=True)
    """
    MODELS.add(card, overwrite=overwrite)
