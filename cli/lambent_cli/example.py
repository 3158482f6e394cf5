"""
Deploys the function `hello` to a platform, unless there is one: `python -m lambent_cli.example ENDPOINT REGION`.

`lambent up` runs it as a process of its own, because the AWS client that it needs would stay in the gateway's memory for good.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lambent_cli import blueprint
from lambent_cli.connection import lambda_client
from lambent_cli.deployment import deploy
from lambent_cli.failures import as_failure
from lambent_cli.options import Options
from lambent_cli.settings import Overrides, read
from lambent_cli.steps import showing

EXAMPLE = "hello"


def deploy_example(options: Options) -> None:
    """What a user made of it stays."""
    client = lambda_client(options)
    try:
        client.get_function_configuration(FunctionName=EXAMPLE)
    except client.exceptions.ResourceNotFoundException:
        with tempfile.TemporaryDirectory() as made, showing() as steps:
            folder = Path(made) / EXAMPLE
            blueprint.write("plain", folder, name=EXAMPLE, runtime=blueprint.own_runtime())
            settings = read(folder, Overrides())
            deploy(client, settings, settings.build(steps), steps)


def main(endpoint: str, region: str) -> None:
    try:
        deploy_example(Options(endpoint=endpoint, region=region))
    except Exception as error:
        failure = as_failure(error)
        if failure is None:
            raise
        sys.exit(f"The example was not deployed. {failure.text().rstrip()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
