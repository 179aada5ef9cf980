"""Run a method: what it reads is there, and what it returns is what its card promises."""

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.matrices import table_of
from stfmkit._data.names import check_names
from stfmkit._data.view import View
from stfmkit.methods._check_output import check_output
from stfmkit.methods.contract import Method, Output, Slots


def run_method(method: Method, view: View, reference: View | None = None, *, rng: int) -> Output:
    """Return the checked output of a method, its rows in the order of the observations.

    Parameters
    ----------
    method
        A method object; see `load_method`.
    view
        The data.
    reference
        The reference; None exactly where the method takes none.
    rng
        Seed.

    Raises
    ------
    MissingKeyError
        A slot that the method reads is not there.
    InputError
        A reference is missing, or not wanted; or the output is not what the contract says.
    """
    check_requirements(method, view, reference)
    with raised_by(f"the method {method.card.full_name!r} ({method.card.target})"):
        output = method.run(view, reference, rng=rng)
    return check_output(output, method.card, view.table, None if reference is None else reference.table)


def check_requirements(method: Method, view: View, reference: View | None) -> None:
    """Refuse data and reference that lack what a method reads."""
    name, requirements = method.card.full_name, method.requirements()
    if (reference is None) != (requirements.reference is None):
        missing = reference is None
        raise InputError(
            f"the method {name!r} {'without' if missing else 'with'} a reference.",
            allowed="a reference" if missing else "no reference",
            remedy="pass the reference." if missing else "leave the reference out.",
        )
    _check_slots(view, requirements.data, where="data", method=name)
    if reference is not None and requirements.reference is not None:
        _check_slots(reference, requirements.reference, where="reference", method=name)


def _check_slots(view: View, slots: Slots, *, where: str, method: str) -> None:
    table = view.table
    check_names(table)
    for slot in ("layers", "obs", "obsm", "obsp", "var"):
        keys = [str(key) for key in getattr(table, slot)]
        for key in getattr(slots, slot):
            if key not in keys:
                raise MissingKeyError(
                    f"no {slot}[{key!r}] in the {where}, which the method {method!r} reads.",
                    allowed=listed(keys),
                    remedy=f"store it there, or pass the key of another.{nearest(key, keys)}",
                )
    if slots.X and table_of(table).X is None:
        raise MissingKeyError(
            f"no X in the {where}, which the method {method!r} reads.",
            allowed="a matrix in X",
            remedy="store it there, or pass layer=.",
        )
    missing_elements = {
        "images": slots.images and not view.image_names,
        "points": slots.points and not view.points,
        "shapes": slots.shapes and not view.shapes,
    }
    for name, is_missing in missing_elements.items():
        if is_missing:
            raise MissingKeyError(
                f"no {name} in the {where}, which the method {method!r} reads.",
                allowed=f"a SpatialData with {name}",
                remedy="pass the SpatialData that the table belongs to.",
            )
