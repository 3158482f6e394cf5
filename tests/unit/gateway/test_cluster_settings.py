from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lambent_gateway.cluster_settings import from_environment
from lambent_gateway.holdings import CannotStart
from lambent_gateway.settings import BucketSettings

GIVEN = {
    "LAMBENT_DATA_DIR": "/data",
    "LAMBENT_POD_NAME": "lambent-gateway-0",
    "LAMBENT_SYSTEM_NAMESPACE": "lambent-system",
    "LAMBENT_ENDPOINT": "http://lambent.example/",
    "LAMBENT_LINK_KEY_FILE": "/keys/link",
    "LAMBENT_OPERATOR_ACCOUNT": "system:serviceaccount:lambent-system:lambent-operator",
}
NUMBERS = {
    "LAMBENT_PORT": (1, 65_535),
    "LAMBENT_LINK_PORT": (1, 65_535),
    "LAMBENT_ACCOUNT_CONCURRENCY": (1, 100_000),
    "LAMBENT_ENVIRONMENTS_MAX": (1, 100_000),
    "LAMBENT_IDLE_SECONDS": (1, 86_400),
    "LAMBENT_STARTING_MAX": (1, 10_000),
}


def test_what_the_chart_must_set_is_enough() -> None:
    settings = from_environment(GIVEN)
    assert (settings.pod_name, settings.namespace, settings.system_namespace) == (
        "lambent-gateway-0",
        "default",
        "lambent-system",
    )
    assert settings.endpoint == "http://lambent.example"
    assert settings.link_port == 9001
    assert settings.link_key_file == Path("/keys/link")
    assert (settings.registry_credentials, settings.plain_http_registries) == (None, ())
    gateway = settings.gateway
    assert (gateway.data_dir, gateway.log_level) == (Path("/data"), "info")
    assert (gateway.server.host, gateway.server.port, gateway.server.region) == ("0.0.0.0", 9000, "us-east-1")
    assert (gateway.scaling.account_concurrency, gateway.scaling.idle_seconds) == (1_000, 300)


def test_all_that_can_be_set_is_taken() -> None:
    settings = from_environment(
        GIVEN
        | {
            "LAMBENT_NAMESPACE": "team-a",
            "LAMBENT_PORT": "8000",
            "LAMBENT_LINK_PORT": "8001",
            "LAMBENT_REGION": "eu-central-1",
            "LAMBENT_ACCOUNT": "123456789012",
            "LAMBENT_ACCOUNT_CONCURRENCY": "50",
            "LAMBENT_ENVIRONMENTS_MAX": "40",
            "LAMBENT_IDLE_SECONDS": "20",
            "LAMBENT_STARTING_MAX": "7",
            "LAMBENT_LOG_LEVEL": "debug",
            "LAMBENT_REGISTRY_CREDENTIALS": "/registries/config.json",
            "LAMBENT_PLAIN_HTTP_REGISTRIES": "a:5000,b",
        }
    )
    assert settings.registry_credentials == Path("/registries/config.json")
    assert settings.plain_http_registries == ("a:5000", "b")
    assert (settings.namespace, settings.link_port, settings.gateway.log_level) == ("team-a", 8001, "debug")
    server, scaling = settings.gateway.server, settings.gateway.scaling
    assert (server.port, server.region, server.account) == (8000, "eu-central-1", "123456789012")
    assert (scaling.account_concurrency, scaling.environments_max) == (50, 40)
    assert (scaling.idle_seconds, scaling.starting_max) == (20, 7)


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
def test_what_is_missing_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in GIVEN.items() if key != name} | ({name: value} if value is not None else {})
    with pytest.raises(CannotStart, match=f"{name} is not set; Lambent's chart sets it"):
        from_environment(environ)


@pytest.mark.parametrize(("name", "least", "most"), [(name, *bounds) for name, bounds in NUMBERS.items()])
def test_a_wrong_number_is_named_with_its_bounds(name: str, least: int, most: int) -> None:
    for value in (str(least - 1), str(most + 1), "-1", "many", "1.5", " 7", "1e3"):
        with pytest.raises(CannotStart, match=f"{name} is {value!r}, not a whole number from {least:,} to {most:,}"):
            from_environment(GIVEN | {name: value})
    for value in (str(least), str(most)):
        from_environment(GIVEN | {name: value})


KEYS = {"LAMBENT_S3_ACCESS_KEY_ID": "id", "LAMBENT_S3_SECRET_ACCESS_KEY": "secret"}


def test_packages_are_in_a_bucket_where_one_is_named() -> None:
    assert from_environment(GIVEN | KEYS | {"LAMBENT_S3_ENDPOINT": "https://s3"}).bucket is None
    bucket = {"LAMBENT_S3_BUCKET": "code", "LAMBENT_S3_ENDPOINT": "", "LAMBENT_S3_PREFIX": ""}
    assert from_environment(GIVEN | bucket).bucket == BucketSettings("code"), "AWS's own, with a cloud's identity"
    theirs = KEYS | {
        "LAMBENT_S3_BUCKET": "code",
        "LAMBENT_S3_ENDPOINT": "https://s3.example.com",
        "LAMBENT_S3_PREFIX": "lambent/",
        "LAMBENT_S3_REGION": "eu-central-1",
    }
    settings = from_environment(GIVEN | theirs).bucket
    assert settings == BucketSettings("code", "https://s3.example.com", "eu-central-1", "lambent/", "id", "secret")
    assert "secret" not in repr(settings).replace("secret_access_key", ""), "nothing of it gets into a log"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"LAMBENT_S3_ENDPOINT": "s3:9000"},
            "LAMBENT_S3_ENDPOINT is 's3:9000', not a URL such as https://s3.example.com",
        ),
        ({"LAMBENT_S3_ACCESS_KEY_ID": "id"}, "LAMBENT_S3_SECRET_ACCESS_KEY is not set: give both keys"),
        ({"LAMBENT_S3_SECRET_ACCESS_KEY": "secret"}, "LAMBENT_S3_ACCESS_KEY_ID is not set: give both keys"),
    ],
)
def test_a_bucket_that_can_not_be_meant_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        from_environment(GIVEN | {"LAMBENT_S3_BUCKET": "code"} | given)


def test_who_has_no_bucket_loads_no_client() -> None:
    """An S3 client takes 20 MB of the 80 that an idle gateway may have."""
    code = "import sys, lambent_gateway.cluster; print('botocore.session' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
