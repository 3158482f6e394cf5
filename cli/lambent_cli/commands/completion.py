"""`lambent completion`: names of commands and options on the Tab key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.completion import get_completion_script, install

from lambent_cli.failures import Failure
from lambent_cli.output import say, write_line

Shell = Literal["bash", "zsh", "fish", "powershell", "pwsh"]
_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish", "powershell", "pwsh")


def run(
    shell: Annotated[Shell | None, typer.Argument(help="The shell. Default: yours, by $SHELL.")] = None,
    write: Annotated[bool, typer.Option("--install", help="Write it into the shell's own files.")] = False,
) -> None:
    """Print the completion script for a shell, or install it."""
    chosen = shell or _own_shell()
    if write:
        _, path = install(shell=chosen, prog_name="lambent", complete_var="_LAMBENT_COMPLETE")
        say(f"Installed in {path}. It works in terminals that are opened from now on.")
        return
    write_line(get_completion_script(prog_name="lambent", complete_var="_LAMBENT_COMPLETE", shell=chosen))


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SHELLS:
        if shell == name:
            return shell
    raise Failure("which shell? $SHELL does not say.", fix=f"Name it: lambent completion {'|'.join(_SHELLS)}")
