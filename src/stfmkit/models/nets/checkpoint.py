"""A published checkpoint: where it lies, what was read of it, and what its reader returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from stfmkit._core.errors import InputError, StfmkitError
from stfmkit._core.limits import check_limit
from stfmkit.models.card import ModelCard
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.genes.table import GeneTableLike
from stfmkit.models.weights.files import Files
from stfmkit.models.weights.places import resolve_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Assets:
    """What a published folder holds, or what stands for it in a random twin; families add fields of their own.

    Attributes
    ----------
    config
        Sizes of the network.
    genes
        The vocabulary; None in a random twin until it has seen the genes of the data, and where names are read as text.
    state
        Tensors by published name; None for a random twin, and once the module is filled.
    gene_table
        Symbols and Ensembl ids, where the publication has them.
    """

    config: Mapping[str, Any]
    genes: GeneVocabulary | None = None
    state: Mapping[str, Tensor] | None = None
    gene_table: GeneTableLike | None = None


AnyAssets = TypeVar("AnyAssets", bound=Assets)


class Checkpoint:
    """The files of one checkpoint.

    Parameters
    ----------
    card
        Card of the model.
    weights
        What a caller says of weights; see `stfmkit.models.weights.places.resolve_weights`.

    Attributes
    ----------
    files
        What finds files in the published layout, and remembers those that were read.
    revision
        Commit or tag of the published place, where there is one.
    """

    def __init__(self, card: ModelCard, weights: str | None) -> None:
        place, self.revision = resolve_weights(card, weights)
        self.files = Files()
        self._card, self._weights = card, weights
        self._folder = self.files.enter(place)

    def read(self, reader: Callable[[Path], AnyAssets]) -> AnyAssets:
        """Return what the folder holds; whatever a malformed file makes of its reader becomes one error.

        Raises
        ------
        InputError
            A file is not what its name says.
        """
        try:
            assets = reader(self._folder)
            _check_config(assets.config, what=self._card.name)
        except StfmkitError:
            raise
        except Exception as error:
            last = self.files.found[-1].name if self.files.found else self._folder.name
            lines = str(error).strip().splitlines()
            raise InputError(
                f"{last} of {self._card.name!r} cannot be understood "
                f"({lines[0][:160] if lines else type(error).__name__}).",
                allowed="the files of the publication",
                remedy="get the files again from their published place; they belong to one checkpoint.",
            ) from error
        return assets

    def record(self) -> dict[str, Any]:
        """Return place, revision and checksums of the files that were read."""
        published = self._card.weights.place if self._card.weights else ""
        return {
            "weights": self._weights or published,
            "untrained": False,
            "revision": self.revision,
            "sha256": self.files.checksums(),
        }


_LAYERS, _WIDTHS = ("layer", "depth"), ("hid", "dim", "width", "embsize", "_size")


def _check_config(config: Mapping[str, Any], *, what: str) -> None:
    """Refuse sizes of a network that no publication has, before the network is built."""
    sizes = {str(name): value for name, value in config.items() if isinstance(value, int)}
    layers = max((size for name, size in sizes.items() if any(part in name for part in _LAYERS)), default=1)
    width = max((size for name, size in sizes.items() if any(part in name for part in _WIDTHS)), default=1)
    check_limit("network_layers", layers, what=f"settings of {what!r} with {layers:,} layers")
    found = f"settings of {what!r} with {layers:,} layers, {width:,} wide"
    check_limit("network_values", layers * width * width, what=found)
