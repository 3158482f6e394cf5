"""`lambent deploy`: a folder becomes a function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.deployment import Deployment, deploy
from lambent_cli.failures import Failure
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line
from lambent_cli.package.archive import Package
from lambent_cli.settings import Overrides, read
from lambent_cli.steps import showing


def run(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The function's folder.")] = Path(),
    name: Annotated[
        str | None, typer.Option(help="Name of the function. Default: function.yaml's, else the folder's.")
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="Lambda's name of the runtime, e.g. python3.11.")] = None,
    handler: Annotated[str | None, typer.Option(help="FILE.FUNCTION that answers events, e.g. app.handler.")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MB.")] = None,
    timeout: Annotated[int | None, typer.Option(help="Longest run in seconds.")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE of the environment; repeat it.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Install requirements.txt again, not from the cache.")] = False,
) -> None:
    """
    Package a folder and create or update its function.

    Settings come from function.yaml in the folder; options win over it. Without function.yaml the name is the folder's,
    and the handler is looked for in app.py, lambda_function.py and main.py. requirements.txt is installed into the
    package. What .lambentignore names (as in .gitignore) stays out. What has not changed is not sent again.
    """
    options: Options = ctx.obj
    settings = read(source_folder(folder), Overrides(name, runtime, handler, memory, timeout, variables(env or [])))
    with showing() as steps:
        package = settings.build(steps, fresh=fresh)
        done = deploy(lambda_client(options), settings, package, steps)
    _show(options, done, package, folder)


def _show(options: Options, done: Deployment, package: Package, folder: Path) -> None:
    if options.output == "json":
        write_json(
            {
                "function": done.name,
                "result": done.result,
                "changed": done.changed,
                "codeSha256": done.code_sha256,
                "codeSize": len(package.content),
                "url": done.url,
            }
        )
        return
    plural = "" if package.files == 1 else "s"
    what = f" ({', '.join(done.changed)})" if done.result == "updated" else ""
    write_line(f"{done.name} {done.result}{what}: {package.files} file{plural}, {len(package.content):,} bytes zipped")
    if done.url:
        write_line(f"URL: {done.url}")
    if done.result == "created":
        event = folder / "event.json"
        write_line(f"Run it: lambent invoke {done.name} " + (f"@{event}" if event.is_file() else "'{}'"))


def variables(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE texts as a mapping."""
    for pair in pairs:
        if "=" not in pair:
            raise Failure(f"--env {pair!r}: NAME=VALUE is wanted.")
    return dict(pair.split("=", 1) for pair in pairs)


def source_folder(folder: Path) -> Path:
    """The folder, if it is one."""
    if not folder.is_dir():
        fix = "A ZIP is deployed by a manifest: spec.code.path, then `lambent apply -f`." if folder.is_file() else ""
        raise Failure(f"{folder} is not a folder.", fix=fix)
    return folder
