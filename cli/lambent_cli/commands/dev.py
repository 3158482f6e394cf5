"""`lambent dev`: deploy on save, show what the function writes, until Ctrl-C."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from watchfiles import watch

from lambent_cli.commands.deploy import source_folder
from lambent_cli.connection import Platform, lambda_client
from lambent_cli.deployment import deploy
from lambent_cli.documents import MANIFEST
from lambent_cli.failures import Failure, as_failure
from lambent_cli.log_stream import records
from lambent_cli.options import Options
from lambent_cli.output import say, write_line
from lambent_cli.package.ignore import IGNORE_FILE, Ignore
from lambent_cli.settings import Overrides, read
from lambent_cli.steps import showing

_DEBOUNCE_MS = 300
"""An editor's save is several writes within some milliseconds; a person's two saves are further apart."""
_RECONNECT_SECONDS = 1.0


def run(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The function's folder.")] = Path(),
    event: Annotated[
        Path | None, typer.Option("--event", "-e", help="Run it with this event after each deployment.")
    ] = None,
) -> None:
    """
    Watch a folder: deploy on save, show the function's log and errors. Ctrl-C ends it; the function stays.
    """
    options: Options = ctx.obj
    source_folder(folder)
    session = _Session(options, folder, event)
    follower = threading.Thread(target=session.follow, daemon=True)
    try:
        session.deploy()
        follower.start()
        say(f"Watching {folder.resolve()}. Ctrl-C ends it.")
        for _ in watch(folder, watch_filter=_Filter(folder), debounce=_DEBOUNCE_MS, raise_interrupt=True):
            session.deploy()
    except KeyboardInterrupt:
        say("Stopped.")


class _Session:
    """What goes on for one folder. The log follower starts with the first deployment that went well."""

    def __init__(self, options: Options, folder: Path, event: Path | None) -> None:
        self._options = options
        self._folder = folder
        self._event = event
        self._client = lambda_client(options)
        self._name = ""
        self._deployed = threading.Event()
        self._since_ms = time.time_ns() // 1_000_000

    def deploy(self) -> None:
        """Deploys and, where asked, invokes. What is wrong is said; the next save tries again."""
        try:
            settings = read(self._folder, Overrides())
            with showing() as steps:
                done = deploy(self._client, settings, settings.build(steps), steps)
            say(f"{time.strftime('%H:%M:%S')} {done.name} {done.result}" + (f": {done.url}" if done.url else ""))
            self._name = done.name
            self._deployed.set()
            if self._event is not None:
                self._invoke(self._event)
        except Exception as error:
            failure = as_failure(error)
            if failure is None:
                raise
            say(failure.text().rstrip())

    def _invoke(self, event: Path) -> None:
        if not event.is_file():
            raise Failure(f"{event}: there is no such file.")
        answer: dict[str, Any] = self._client.invoke(FunctionName=self._name, Payload=event.read_bytes())
        mark = "failed" if "FunctionError" in answer else "answered"
        write_line(f"{self._name} {mark}: {answer['Payload'].read().decode(errors='replace')}")

    def follow(self) -> None:
        self._deployed.wait()
        platform = Platform(self._options.endpoint)
        while True:
            try:
                for record in records(platform, self._name, since_ms=self._since_ms, follow=True):
                    self._since_ms = record.timestamp + 1
                    write_line(record.line())
            except Failure:
                # The platform was stopped or started anew: the next deployment tells of it, the log goes on when it is back.
                pass
            time.sleep(_RECONNECT_SECONDS)


class _Filter:
    """Changes that matter: of files in the package, and of what settles how it is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def __call__(self, change: object, path: str) -> bool:
        inside = Path(path).relative_to(self._folder)
        if str(inside) in (MANIFEST, IGNORE_FILE, "requirements.txt"):
            return True
        file = self._folder / IGNORE_FILE
        ignore = Ignore(file.read_text() if file.is_file() else "")
        folders = [str(parent) for parent in inside.parents if str(parent) != "."]
        if any(ignore(above, is_folder=True) for above in folders):
            return False
        return not ignore(str(inside), is_folder=Path(path).is_dir())
