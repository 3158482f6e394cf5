"""Options that every command knows: which platform to talk to, and in which form to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

ENDPOINT = "http://127.0.0.1:9000"
REGION = "us-east-1"

OutputForm = Literal["table", "json"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment said."""

    endpoint: str = ENDPOINT
    region: str = REGION
    output: OutputForm = "table"


EndpointOption = Annotated[
    str | None,
    typer.Option(help=f"Address of the platform. Default: $LAMBENT_ENDPOINT, else {ENDPOINT}.", metavar="URL"),
]
RegionOption = Annotated[
    str | None, typer.Option(help=f"Region to sign requests for. Default: $AWS_REGION, else {REGION}.", metavar="NAME")
]
OutputOption = Annotated[OutputForm | None, typer.Option("--output", "-o", help="Form of the answer. Default: table.")]
