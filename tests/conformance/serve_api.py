"""The Lambda API on a free port, with its stores on disk: prints the endpoint and serves until it is told to end."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from pathlib import Path

import uvicorn

from lambent_core.operations import OperationTable
from lambent_gateway.api.app import build_app
from lambent_gateway.api.calls import Functions, Parts
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.api.service_model import load_service_model
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.documents import SqliteDocuments


async def main(folder: Path) -> None:
    documents = SqliteDocuments(folder / "documents.db")
    packages = DirectoryPackages(folder / "packages")
    deployments = Deployments(documents, packages, lambda: str(uuid.uuid4()))
    deployments.start()
    model = load_service_model()
    parts = Parts(
        model=model,
        table=OperationTable(model),
        functions=Functions(documents),
        qualified=Qualified(documents),
        packages=packages,
        clock=SystemClock(),
        ids=lambda: str(uuid.uuid4()),
        settled=deployments.settled,
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build_app(parts), log_level="error", access_log=False))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    await server.serve(sockets=[listening])
    await deployments.stop()
    await documents.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
