"""Asynchronous events in PostgreSQL, shared by the gateways: it is killed, they are, and nothing that was accepted is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.cluster.events import CODE, ran
from tests.cluster.installation import GATEWAYS, Installation, function, wait_for
from tests.cluster.test_faults import all_ready, kill, no_call_failed
from tests.cluster.traffic import traffic
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.timeout(400)
SECRET = "events-database"


@pytest.fixture
def server(lambent: Installation) -> Iterator[PostgresServer]:
    """On this machine, at the node's address; the gateways keep their events there while the test runs."""
    path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    with PostgresServer(durable=True, address=lambent.kubectl("get", "nodes", f"--output=jsonpath={path}")) as server:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET},
            "stringData": {"uri": server.remote_connection_string},
        }
        lambent.apply(secret, namespace=lambent.system)
        lambent.upgrade(state={"postgres": {"existingSecret": SECRET}})
        try:
            yield server
        finally:
            lambent.upgrade(state={"postgres": {"existingSecret": ""}})
            lambent.kubectl("delete", "secret", SECRET, "--namespace", lambent.system)


def test_events_survive_their_database_and_their_gateways(lambent: Installation, server: PostgresServer) -> None:
    """Those who wait for their answer notice nothing of a database that is killed."""
    accepted: set[int] = set()

    def send(number: int) -> None:
        answer = lambent.client.invoke(FunctionName="later", InvocationType="Event", Payload=str(number))
        assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
        accepted.add(number)

    def is_sent(number: int) -> bool:
        try:
            send(number)
        except ClientError:
            return False
        return True

    with lambent.applied(function("later", CODE), function("warm")):
        with traffic(lambent.endpoint, "warm", callers=2) as calls:
            for number in range(30):
                send(number)
            server.kill()
            with pytest.raises(ClientError) as refused:
                send(30)
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            calls.flows()
            server.start()
            wait_for("another event to be accepted", lambda: is_sent(31))
        no_call_failed(calls)
        for number in range(32, 60):
            send(number)
        kill(lambent, lambent.system, *lambent.platform_pods("gateway"))
        wait_for("all gateways", lambda: len(now := lambent.platform_pods("gateway")) == GATEWAYS and all_ready(now))
        wait_for("the Service to lead to them", lambda: lambent.serves("later"))
        wait_for("all that was accepted to run", lambda: ran(lambent, "later") >= accepted)
