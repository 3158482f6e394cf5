"""`lambent layers`: publish, list and delete layer versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.failures import Failure
from lambent_cli.options import Options
from lambent_cli.output import Column, show_rows, write_json, write_line
from lambent_cli.package.build import build_layer
from lambent_cli.steps import showing
from lambent_core.layer_names import LayerReference, parse_layer_version

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Publish, list and delete layer versions: files that functions find below /opt.",
)


@app.command("publish")
def publish(
    ctx: typer.Context,
    place: Annotated[
        Path, typer.Argument(help="A folder of what is to be below /opt (python/, bin/, ...), or a ZIP of it.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the layer. Default: the folder's or the ZIP's.")] = None,
    description: Annotated[str | None, typer.Option(help="Words for people, about this version.")] = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="A runtime that it is meant for, e.g. python3.11; repeat it.")
    ] = None,
    architecture: Annotated[list[str] | None, typer.Option(help="x86_64 or arm64; repeat it.")] = None,
    license: Annotated[str | None, typer.Option(help="SPDX identifier, address or text of its licence.")] = None,
) -> None:
    """
    Publish a version of a layer from a folder or a ZIP, and print how functions name it.

    What requirements.txt in the folder names is installed into python/. What .lambentignore names (as in .gitignore) stays out.
    Each version is new, also of the same files.
    """
    options: Options = ctx.obj
    if not place.exists():
        raise Failure(f"{place}: there is no such file or folder.")
    given = {
        "Description": description,
        "CompatibleRuntimes": runtime,
        "CompatibleArchitectures": architecture,
        "LicenseInfo": license,
    }
    with showing() as steps:
        package = build_layer(place, runtimes=runtime or [], architectures=architecture or [], steps=steps)
        steps.begin("Publishing")
        published = lambda_client(options).publish_layer_version(
            LayerName=name or place.resolve().stem,
            Content={"ZipFile": package.content},
            **{member: value for member, value in given.items() if value},
        )
    published.pop("ResponseMetadata", None)
    if options.output == "json":
        write_json(published)
        return
    plural = "" if package.files == 1 else "s"
    layer, version = published["LayerArn"].rpartition(":")[2], published["Version"]
    write_line(f"{layer}:{version} published: {package.files} file{plural}, {len(package.content):,} bytes zipped")
    write_line(f"Use it: layers: [{layer}:{version}] in a manifest, {published['LayerVersionArn']} elsewhere")


@app.command("ls")
def ls(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A layer, for all its versions.")] = None,
) -> None:
    """List layers with their latest versions, or the versions of one layer."""
    options: Options = ctx.obj
    client = lambda_client(options)
    if name is None:
        pages = client.get_paginator("list_layers").paginate()
        found = [layer["LatestMatchingVersion"] for page in pages for layer in page["Layers"]]
    else:
        pages = client.get_paginator("list_layer_versions").paginate(LayerName=name)
        found = [version for page in pages for version in page["LayerVersions"]]
    show_rows(options, found, _COLUMNS, nothing="None yet. `lambent layers publish FOLDER` publishes one.")


@app.command("rm")
def rm(
    ctx: typer.Context,
    versions: Annotated[list[str], typer.Argument(help="Layer versions, as NAME:VERSION or by ARN.")],
) -> None:
    """Delete layer versions. Functions that use them go on; their numbers are not used again."""
    options: Options = ctx.obj
    client = lambda_client(options)
    references = [_reference(text) for text in versions]
    for reference in references:
        client.delete_layer_version(LayerName=reference.name, VersionNumber=reference.version)
        if options.output == "table":
            write_line(f"{reference.short} deleted")
    if options.output == "json":
        write_json([{"layerVersion": reference.short, "result": "deleted"} for reference in references])


def _reference(text: str) -> LayerReference:
    reference = parse_layer_version(text)
    if reference is None:
        raise Failure(f"{text!r} names no layer version: NAME:VERSION or an ARN is wanted, e.g. shared:3.")
    return reference


def _layer(version: dict[str, Any]) -> str:
    return str(version["LayerVersionArn"].split(":")[6])


_COLUMNS = (
    Column("LAYER", _layer),
    Column("VERSION", lambda version: str(version["Version"]), right=True),
    Column("RUNTIMES", lambda version: ", ".join(version.get("CompatibleRuntimes", []))),
    Column("ARCHITECTURES", lambda version: ", ".join(version.get("CompatibleArchitectures", []))),
    Column("CREATED", lambda version: version["CreatedDate"][:19].replace("T", " ")),
    Column("DESCRIPTION", lambda version: version.get("Description", "")),
)
