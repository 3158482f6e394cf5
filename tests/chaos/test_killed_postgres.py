"""A whole gateway whose events are in PostgreSQL, when that is killed and comes back."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore.exceptions import ClientError

from tests.platform_process import Platform, wait_for
from tests.postgres_server import PostgresServer

NOTES = (
    "import pathlib\ndef handler(event, context):\n    (pathlib.Path(event['folder']) / str(event['n'])).touch()\n"
    "    return event['n']\n"
)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_gateway_serves_on_and_runs_what_it_acknowledged(stack: ExitStack, tmp_path: Path) -> None:
    server = stack.enter_context(PostgresServer(durable=True))
    notes = Path(stack.enter_context(TemporaryDirectory(dir="/var/tmp")))
    platform = Platform(tmp_path / "data", postgres=server.new_schema())
    stack.callback(platform.end)
    platform.start().function("notes", NOTES)

    def invoke(number: int, **how: str) -> object:
        return platform.invoke("notes", {"folder": str(notes), "n": number}, **how)["Payload"]

    def noted() -> set[int]:
        return {int(path.name) for path in notes.iterdir()}

    for number in range(20):
        invoke(number, InvocationType="Event")
    server.kill()
    with pytest.raises(ClientError) as refused:
        invoke(20, InvocationType="Event")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "its database does not answer" in json.dumps(refused.value.response)
    assert invoke(21) == 21, "who waits for the answer needs no database"
    assert platform.get("/metrics")[0] == 200

    server.start()
    wait_for("a new event is accepted and run", lambda: invoke(22, InvocationType="Event") is None and 22 in noted())
    wait_for("all that was acknowledged", lambda: set(range(20)) <= noted())
    wait_for("nothing is left", lambda: platform.metric("lambent_async_queue_depth") == 0)

    for number in range(30, 50):
        invoke(number, InvocationType="Event")
    platform.kill()
    platform.start()
    wait_for("what an earlier process accepted", lambda: set(range(30, 50)) <= noted())
