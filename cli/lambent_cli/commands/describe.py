"""`lambent describe`: one function in full."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.options import Options
from lambent_cli.output import show_fields


def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The function.")],
) -> None:
    """Show one function in full: settings, state, size, URL, concurrency, tags. JSON has all that the API answers."""
    options: Options = ctx.obj
    client = lambda_client(options)
    found = client.get_function(FunctionName=name)
    found.pop("ResponseMetadata", None)
    found["FunctionUrl"] = _url(client, name)
    show_fields(options, found, _fields(found))


def _url(client: Any, name: str) -> str | None:
    try:
        return str(client.get_function_url_config(FunctionName=name)["FunctionUrl"])
    except client.exceptions.ResourceNotFoundException:
        return None


def _fields(found: dict[str, Any]) -> list[tuple[str, str]]:
    configuration = found["Configuration"]
    state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
    variables = configuration.get("Environment", {}).get("Variables", {})
    reserved = found.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    rows = [
        ("Name", configuration["FunctionName"]),
        ("ARN", configuration["FunctionArn"]),
        ("Description", configuration.get("Description", "")),
        ("State", _with_reason(state, configuration.get("StateReason"))),
        ("Last update", _with_reason(update, configuration.get("LastUpdateStatusReason"))),
        ("Modified", configuration["LastModified"]),
        ("Runtime", configuration.get("Runtime", "")),
        ("Handler", configuration.get("Handler", "")),
        ("Memory", f"{configuration['MemorySize']} MB"),
        ("Time-out", f"{configuration['Timeout']} s"),
        ("Storage", f"{configuration.get('EphemeralStorage', {}).get('Size', 512)} MB of /tmp"),
        ("Code", f"{configuration['CodeSize']:,} bytes, SHA-256 {configuration['CodeSha256']}"),
        ("Environment", ", ".join(f"{key}={value}" for key, value in sorted(variables.items()))),
        ("Layers", ", ".join(layer["Arn"] for layer in configuration.get("Layers", []))),
        ("Reserved", "" if reserved is None else f"{reserved} concurrent executions"),
        ("URL", found["FunctionUrl"] or ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in sorted(found.get("Tags", {}).items()))),
    ]
    return [(name, value) for name, value in rows if value]


def _with_reason(state: str, reason: str | None) -> str:
    return f"{state}: {reason}" if reason else state
