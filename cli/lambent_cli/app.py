"""
The command line as a whole: the table of commands, and their loading when one is called.

`lambent --help` needs the table alone. A command's module, and whatever it imports, is loaded only when it runs.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lambent_cli import VERSION
from lambent_cli.options import ENDPOINT, REGION, EndpointOption, Options, OutputOption, RegionOption

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Start here": {
        "up": "Start the platform on this machine, in the foreground.",
        "init": "Write a new function from a blueprint.",
        "deploy": "Package a folder and create or update its function.",
        "invoke": "Run a function and print its response.",
    },
    "Develop": {
        "dev": "Watch a folder: deploy on save, show logs and errors.",
        "logs": "Show what a function wrote.",
        "doctor": "Find what is wrong with the machine or set-up, and the fix.",
    },
    "Functions": {
        "ls": "List functions.",
        "describe": "Show one function in full.",
        "rm": "Delete functions by name.",
    },
    "Layers": {
        "layers": "Publish, list and delete layer versions.",
    },
    "Manifests": {
        "apply": "Bring functions and layer versions to what manifests say.",
        "delete": "Delete what manifests name.",
        "export": "Write a function's manifest.",
    },
    "Shell": {
        "completion": "Print or install completion for your shell.",
    },
}

_EPILOG = (
    "Exit codes: 0 all right, 1 function error or problem found, 2 wrong usage, 3 refused, 4 platform unreachable."
)


class Commands(TyperGroup):
    """The table above as a command group."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for section in SECTIONS.values():
            for name, text in section.items():
                self.add_command(TyperCommand(name=name, help=text, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name is not None and command is not None else command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(10), text) for name, text in section.items()])


def load(name: str) -> Any:
    """The command itself, with the options that all commands share. A module with `app` is a group of commands."""
    module = importlib.import_module(f"lambent_cli.commands.{name}")
    command = typer.main.get_command(module.app) if hasattr(module, "app") else _command(module.run, name)
    for one in (command, *getattr(command, "commands", {}).values()):
        for parameter in _command(_shared, "shared").params:
            parameter.expose_value = False
            parameter.callback = _keep
            one.params.append(parameter)
    return command


def _command(function: Callable[..., None], name: str) -> Any:
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(function)
    return typer.main.get_command(single)


def _shared(endpoint: EndpointOption = None, region: RegionOption = None, output: OutputOption = None) -> None: ...


def _keep(ctx: Any, parameter: Any, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        ctx.obj = replace(ctx.obj, **{parameter.name: _tidy(parameter.name, value)})


def _tidy(name: str, value: str) -> str:
    if name != "endpoint":
        return value
    return (value if "://" in value else f"http://{value}").rstrip("/")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"lambent {VERSION}")
        raise typer.Exit


app = typer.Typer(cls=Commands, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.callback(no_args_is_help=True, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def lambent(
    ctx: typer.Context,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    output: OutputOption = None,
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """
    Lambent: AWS Lambda that you run yourself.

    First steps: `lambent up` in one terminal; in another `lambent init hello`, `lambent deploy hello`,
    `lambent invoke hello`. Each command explains itself: `lambent COMMAND --help`.
    """
    environment = os.environ
    ctx.obj = Options(
        endpoint=_tidy("endpoint", endpoint or environment.get("LAMBENT_ENDPOINT") or ENDPOINT),
        region=region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or REGION,
        output=output or "table",
    )
