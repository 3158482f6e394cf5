from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from lambent_core.errors import ServiceException, ServiceUnavailable
from lambent_gateway.cluster_settings import from_environment
from lambent_gateway.stores.events_databases import Postgres, connection_parameters

STRING = "postgresql://me:secret@database.example:5432/lambent"
GIVEN = {
    "LAMBENT_DATA_DIR": "/data",
    "LAMBENT_POD_NAME": "lambent-gateway-0",
    "LAMBENT_SYSTEM_NAMESPACE": "lambent-system",
    "LAMBENT_ENDPOINT": "http://lambent.example/",
    "LAMBENT_LINK_KEY_FILE": "/keys/link",
    "LAMBENT_OPERATOR_ACCOUNT": "system:serviceaccount:lambent-system:lambent-operator",
}


def test_postgresql_is_a_setting_that_nobody_prints() -> None:
    assert from_environment(GIVEN).gateway.postgres is None
    assert from_environment(GIVEN | {"LAMBENT_POSTGRES": ""}).gateway.postgres is None
    settings = from_environment(GIVEN | {"LAMBENT_POSTGRES": STRING})
    assert settings.gateway.postgres == STRING
    assert "secret" not in repr(settings)


def test_callers_are_told_to_try_again_and_not_where_the_database_is() -> None:
    refusal = Exception("connection to server at database.example failed")
    told = Postgres(STRING).told(OperationalError("INSERT", None, refusal))
    assert isinstance(told, ServiceUnavailable)
    assert "Try again" in told.message
    assert "database.example" not in told.message
    assert told.__cause__ is refusal, "for the log"


def test_a_mistake_of_ours_is_none_of_the_database() -> None:
    told = Postgres(STRING).told(KeyError("function"))
    assert type(told) is ServiceException
    assert "secret" not in told.message


@pytest.mark.parametrize(
    ("string", "expected"),
    [
        pytest.param(STRING, {"connect_timeout": 5, "application_name": "lambent-gateway"}, id="ours"),
        pytest.param(
            f"{STRING}?connect_timeout=30&application_name=us",
            {"connect_timeout": "30", "application_name": "us"},
            id="what the connection string says",
        ),
        pytest.param(
            "host=one,two port=1,2 target_session_attrs=read-write",
            {"host": "one,two", "port": "1,2", "target_session_attrs": "read-write"},
            id="several hosts",
        ),
    ],
)
def test_how_it_connects(string: str, expected: dict[str, object]) -> None:
    assert expected.items() <= connection_parameters(string).items()
