"""A command of the service as a command of the terminal."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from stfmkit.cli._arguments import flag, parameters, read_values
from stfmkit.cli._finish import finish
from stfmkit.cli._show import say
from stfmkit.cli._texts import EXAMPLES, SHOWN
from stfmkit.service import Request, Response
from stfmkit.service._commands import Command
from stfmkit.service._request import choices_in

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the response as JSON on standard output.", show_default=False)
]
_Config = Annotated[
    Path | None, typer.Option("--config", help="YAML or JSON file of the same fields; flags win.", show_default=False)
]


def terminal_command(command: Command) -> Callable[..., None]:
    """Return the function that typer calls; its parameters are the fields of the request."""

    def call(**given: Any) -> None:
        as_json, config = given.pop("json"), given.pop("config")
        finish(
            lambda: request_of(command, given, config),
            shown_by(command.name),
            as_json=as_json,
            command=lambda: command.name,
        )

    own = [
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Config),
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson),
    ]
    signature = inspect.Signature([*parameters(command.request), *own])
    call.__signature__ = signature  # type: ignore[attr-defined]  # where `inspect` and typer look for it
    call.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    call.__doc__ = command.run.__doc__
    return call


def request_of(command: Command, given: dict[str, Any], config: Path | None) -> Request:
    """Return the request of flags and of a file; flags win.

    Raises
    ------
    StfmkitError
        The file or a value in it, or a flag, cannot be used.
    """
    fields = {} if config is None else command.request.located(choices_in(config, command.name), config.parent)
    return command.request.of(fields | read_values(command.request, given), spell=flag)


def examples_of(name: str) -> str | None:
    """Return the examples of a command for its help."""
    return EXAMPLES.get(name)


def shown_by(name: str) -> Callable[[Response], None]:
    """Return what prints the response of a command, as plain JSON where nothing else does."""
    return SHOWN.get(name, _show_plainly)


def _show_plainly(response: Response) -> None:
    say(response.model_dump_json(indent=2))
