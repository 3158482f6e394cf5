"""What of the Kubernetes client needs no API server."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from lambent_kube.client import Kubernetes, Object
from lambent_kube.config import ClusterAccess, NoCluster, cluster_access, from_kubeconfig
from lambent_kube.json_lines import json_lines
from lambent_kube.mirror import GONE_MAX, Mirror
from lambent_kube.resources import FUNCTIONS, PODS, TOKEN_REVIEWS
from tests.api_server import ApiServer


def test_paths() -> None:
    assert PODS.path("default", "a") == "/api/v1/namespaces/default/pods/a"
    assert PODS.path() == "/api/v1/pods"
    assert (
        FUNCTIONS.path("default", "hello", "status") == "/apis/lambent.dev/v1/namespaces/default/functions/hello/status"
    )
    assert TOKEN_REVIEWS.path("ignored") == "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.mark.parametrize(
    ("chunks", "documents"),
    [
        ([b'{"a":1}\n{"a":2}\n'], [{"a": 1}, {"a": 2}]),
        ([b'{"a"', b":", b"1}", b"\n"], [{"a": 1}]),
        ([b'{"a":1}', b'\n\n\n{"a":2}\n{"b"'], [{"a": 1}, {"a": 2}]),
        ([b"\n", b'"x"\n'], ["x"]),
    ],
    ids=["whole", "in pieces", "empty lines and an end without one", "an empty line first"],
)
async def test_json_lines(chunks: list[bytes], documents: list[Any]) -> None:
    async def told() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    assert [document async for document in json_lines(told())] == documents


def kubeconfig(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    document = {
        "current-context": "c",
        "contexts": [{"name": "other"}, {"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster or {"server": "http://127.0.0.1:8001/"}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_kubeconfig_with_a_token(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "t"}))
    assert access == ClusterAccess("http://127.0.0.1:8001", None, None, "t")
    assert access.authorization() == {"Authorization": "Bearer t"}


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    access = cluster_access({"KUBECONFIG": str(kubeconfig(tmp_path, {"tokenFile": str(token)}))})
    for text in ("first", "second"):
        token.write_text(f"{text}\n")
        assert access.authorization() == {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set"),
        ({"KUBECONFIG": "/there/is/none"}, "/there/is/none can't be used"),
    ],
)
def test_no_cluster(environ: dict[str, str], says: str) -> None:
    with pytest.raises(NoCluster, match=says):
        cluster_access(environ)


def test_a_kubeconfig_that_lacks_what_it_names(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {})
    path.write_text(path.read_text().replace("current-context: c", "current-context: gone"))
    with pytest.raises(NoCluster, match="it has no entry 'gone'"):
        from_kubeconfig(path)


def test_a_certificate_authority_within_the_kubeconfig_is_checked(tmp_path: Path) -> None:
    wrong = base64.b64encode(b"no certificate").decode()
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority-data": wrong}
    with pytest.raises(ssl.SSLError):
        from_kubeconfig(kubeconfig(tmp_path, {}, cluster))


class Told:
    """A mirror and what it told: (old version, new version)."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, str | None]] = []
        kubernetes = Kubernetes(ClusterAccess("http://127.0.0.1:1", None), field_manager="test")
        self.mirror = Mirror(kubernetes, PODS, "default", self._tell)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        self.told.append((_version(old), _version(new)))


def _version(thing: Object | None) -> str | None:
    return None if thing is None else thing["metadata"]["resourceVersion"]


def pod(version: int, uid: str = "u", name: str = "a") -> Object:
    return {"metadata": {"namespace": "default", "name": name, "uid": uid, "resourceVersion": str(version)}}


async def test_a_mirror_takes_what_is_new() -> None:
    told = Told()
    told.mirror.put(pod(5))
    told.mirror.put(pod(5))
    told.mirror.put(pod(4))
    told.mirror.put(pod(6))
    told.mirror.remove(pod(9, uid="another"))
    told.mirror.remove(pod(9))
    assert told.told == [(None, "5"), ("5", "6"), ("6", None)]
    assert told.mirror.objects == {}


async def test_an_answer_that_comes_after_the_end_brings_nothing_back() -> None:
    """W4. What left a selection may come back to it, later."""
    told = Told()
    told.mirror.put(pod(5))
    told.mirror.remove(pod(7))
    told.mirror.put(pod(6))
    assert told.mirror.objects == {}
    told.mirror.remove(pod(5))
    told.mirror.put(pod(7))
    assert told.mirror.objects == {}
    told.mirror.put(pod(8))
    assert told.told == [(None, "5"), ("5", None), (None, "8")]


async def test_an_earlier_object_does_not_take_the_place_of_one_of_its_name() -> None:
    """W4: which another gateway told of, before the watch brings the end of the earlier one."""
    told = Told()
    told.mirror.put(pod(5, uid="old"))
    told.mirror.put(pod(9, uid="new"))
    told.mirror.put(pod(7, uid="old"))
    told.mirror.remove(pod(8, uid="old"))
    assert told.told == [(None, "5"), ("5", "9")]


async def test_what_is_in_no_list_does_not_come_back_with_an_answer_older_than_it() -> None:
    """W4."""
    told = Told()
    told.mirror.put(pod(9))
    told.mirror._replace([], 12)
    told.mirror.put(pod(10))
    told.mirror.put(pod(11, uid="another"))
    assert told.mirror.objects == {}
    told.mirror.put(pod(13, uid="another"))
    assert told.told == [(None, "9"), ("9", None), (None, "13")]


async def test_a_list_is_believed_but_for_what_came_after_it() -> None:
    told = Told()
    told.mirror.remove(pod(5, uid="there after all"))
    told.mirror.remove(pod(90, uid="gone since"))
    told.mirror._replace([pod(6, uid="there after all"), pod(7, uid="gone since", name="b")], 50)
    assert told.told == [(None, "6")]


async def test_of_what_is_gone_only_the_last_is_remembered() -> None:
    told = Told()
    for number in range(GONE_MAX + 1):
        told.mirror.remove(pod(9, uid=str(number)))
    for number in (0, 1):
        told.mirror.put(pod(8, uid=str(number), name=str(number)))
    assert {name for _, name in told.mirror.objects} == {"0"}


async def test_a_mirror_does_not_keep_who_manages_which_field() -> None:
    told = Told()
    thing = pod(5)
    thing["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    told.mirror.put(thing)
    assert list(told.mirror.objects.values()) == [pod(5)]


async def test_a_whole_list_says_what_is_gone() -> None:
    """W2. What was written after the list was made is in no list yet."""
    told = Told()
    for name, version in (("a", 5), ("b", 6), ("c", 90)):
        told.mirror.put(pod(version, name=name))
    told.told.clear()
    told.mirror._replace([pod(7, name="b")], 50)
    assert told.told == [("5", None), ("6", "7")]
    assert {name for _, name in told.mirror.objects} == {"b", "c"}


async def test_a_mirror_follows_on_when_who_listens_fails() -> None:
    """W3: in the first list and later."""
    server, told = ApiServer(), asyncio.Queue[str]()

    def tell(old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if name.startswith("bad"):
            raise ValueError(name)
        told.put_nowait(f"{name} {'is there' if new else 'is gone'}")

    for name in ("bad", "good"):
        server.put("pods", name, {})
    async with server.serving() as kubernetes:
        mirror = Mirror(kubernetes, PODS, "default", tell)
        with capture_logs() as logs:
            following = asyncio.create_task(mirror.follow())
            await server.watched("pods")
            server.put("pods", "bad-too", {})
            server.remove("pods", "bad")
            server.remove("pods", "good")
            assert [await told.get(), await told.get()] == ["good is there", "good is gone"]
        following.cancel()
    assert [name for _, name in mirror.objects] == ["bad-too"]
    failed = {"event": "a change was not taken", "resource": "pods", "namespace": "default"}
    assert [{**failed, **entry} == entry and entry["name"] for entry in logs] == ["bad", "bad-too", "bad"]


async def test_a_mirror_lists_anew_after_what_nobody_expected() -> None:
    """W3: and tells what came meanwhile."""
    server, told = ApiServer(), asyncio.Queue[str | None]()
    async with server.serving() as kubernetes:
        mirror = Mirror(kubernetes, PODS, "default", lambda old, new: told.put_nowait(_version(new)))
        with capture_logs() as logs:
            following = asyncio.create_task(mirror.follow())
            await server.watched("pods")
            server.say(b"no JSON\n")
            server.objects["pods", "a"] = pod(2)
            server.version = 2
            assert await told.get() == "2"
        following.cancel()
    assert [(entry["event"], entry["log_level"], entry["resource"]) for entry in logs] == [
        ("watch failed", "error", "pods")
    ]


async def test_nobody_there_is_an_error_without_a_status() -> None:
    kubernetes = Kubernetes(ClusterAccess("http://127.0.0.1:1", None), field_manager="test")
    with pytest.raises(Exception, match="Unreachable"):
        await kubernetes.get(PODS, "default", "a")
    await kubernetes.close()
