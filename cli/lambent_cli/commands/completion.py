"""`lambent completion`: names of commands and options on the Tab key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.completion import install_callback, show_callback

from lambent_cli.failures import Failure

Shell = Literal["bash", "zsh", "fish", "powershell", "pwsh"]
_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish", "powershell", "pwsh")


def run(
    ctx: typer.Context,
    shell: Annotated[Shell | None, typer.Argument(help="The shell. Default: yours, by $SHELL.")] = None,
    install: Annotated[bool, typer.Option("--install", help="Write it into the shell's own files.")] = False,
) -> None:
    """
    Print the completion script for a shell, or install it: then the Tab key completes commands and options.
    """
    write = install_callback if install else show_callback
    write(ctx, ctx.command.params[0], shell or _own_shell())


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SHELLS:
        if shell == name:
            return shell
    raise Failure("which shell? $SHELL does not say.", fix=f"Name it: lambent completion {'|'.join(_SHELLS)}")
