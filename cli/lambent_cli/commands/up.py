"""`lambent up`: the platform on this machine, in the foreground."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lambent_cli import places
from lambent_cli.banner import banner
from lambent_cli.failures import FOUND, Failure
from lambent_cli.options import Options
from lambent_cli.output import say, write_line
from lambent_gateway.holdings import CannotStart
from lambent_gateway.settings import ServerSettings, Settings

if TYPE_CHECKING:
    from lambent_gateway.local import Started

EXAMPLE = "hello"
"""What `lambent_cli.example` deploys; its module is for a process of its own."""

LogLevel = Literal["debug", "info", "warning", "error"]


def run(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on. All but loopback opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 9000,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Functions, packages, events, logs. Default: $LAMBENT_HOME, else ~/.local/share/lambent."),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much the platform tells on stderr.")] = "warning",
    no_example: Annotated[bool, typer.Option("--no-example", help="Do not deploy the function `hello`.")] = False,
) -> None:
    """
    Start the platform on this machine, in the foreground. Ctrl-C stops everything it started.

    Functions and their data stay in the data directory; the next `lambent up` goes on with them. It is for code that you
    trust: functions run as processes of your own user.
    """
    # Only now: it imports the whole gateway, which `lambent up --help` need not wait for.
    from lambent_gateway import local

    options: Options = ctx.obj
    folder = (data_dir or places.data_dir()).expanduser().absolute()
    settings = Settings(
        data_dir=folder,
        server=ServerSettings(host=host, port=port, region=options.region),
        log_level=log_level,
    )
    say(f"Starting Lambent in {folder} …")
    greet = _Greeting(options, example=not no_example)
    try:
        local.up(settings, ready=greet.begin)
    except CannotStart as error:
        raise Failure(str(error), fix="`lambent doctor` looks further.", exit_code=FOUND) from error
    say("Stopped. The data stays in " + str(folder))


class _Greeting:
    """Deploys the example and prints the banner, beside the platform that serves it."""

    def __init__(self, options: Options, *, example: bool) -> None:
        self._options = options
        self._example = example

    def begin(self, started: Started) -> None:
        """Returns at once: it is called on the platform's own loop."""
        threading.Thread(target=self._greet, args=(started,), daemon=True).start()

    def _greet(self, started: Started) -> None:
        command = [sys.executable, "-m", "lambent_cli.example", started.endpoint, self._options.region]
        deployed = self._example and subprocess.run(command, check=False).returncode == 0
        function = EXAMPLE if deployed else None
        text = banner(started.endpoint, started.data_dir, started.sandbox, function, region=self._options.region)
        write_line(text.rstrip())
