"""What is installed, built, installed into the cluster and told, given what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tools.cluster.binaries import CLIENTS, GO_MINIMUM, NODE, go_version
from tools.cluster.commands import ClusterError
from tools.cluster.debian import missing
from tools.cluster.install import helm_upgrade
from tools.cluster.objects import corefile
from tools.cluster.places import ENDPOINT_PORT, GATEWAY_NODE_PORT, Places
from tools.cluster.providers import KIND_NAME, Given, Kind, OneNode, choose, current, environment

CHECKOUT = Path(__file__).parents[3]


def test_packages_that_show_their_command_are_not_installed_again() -> None:
    wanted = {"containerd": "containerd", "runc": "runc"}
    assert missing(wanted, there=lambda sign: sign == "runc") == ["containerd"]


@pytest.mark.parametrize(
    ("told", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.9 linux/amd64", (1, 9)), ("", (0, 0))],
)
def test_go_version(told: str, version: tuple[int, int]) -> None:
    assert go_version(told) == version


def test_modules_ask_for_the_go_that_is_looked_for() -> None:
    for programs in (*CLIENTS, *NODE):
        line = next(line for line in (programs.folder / "go.mod").read_text().splitlines() if line.startswith("go "))
        assert tuple(map(int, line.removeprefix("go ").split(".")))[:2] <= GO_MINIMUM


def test_programs_tell_the_version_that_they_are() -> None:
    flags = CLIENTS[0].flags
    assert flags == [
        "-trimpath",
        "-ldflags=-s -w"
        " -X k8s.io/component-base/version.gitVersion=v1.34.4"
        " -X k8s.io/component-base/version.gitMajor=1"
        " -X k8s.io/component-base/version.gitMinor=34"
        " -X k8s.io/client-go/pkg/version.gitVersion=v1.34.4"
        " -X k8s.io/client-go/pkg/version.gitMajor=1"
        " -X k8s.io/client-go/pkg/version.gitMinor=34",
    ]


def test_helm_upgrade_tells_pods_which_image_they_are_of() -> None:
    assert helm_upgrade(Path("/checkout"), Path("/kubeconfig"), "0123") == [
        "upgrade",
        "--install",
        "lambent",
        Path("/checkout/charts/lambent"),
        "--kubeconfig=/kubeconfig",
        "--namespace=lambent-system",
        "--create-namespace",
        "--values=/checkout/tools/cluster/values.yaml",
        "--set-string=gateway.podAnnotations.lambent\\.dev/image=0123",
        "--set-string=operator.podAnnotations.lambent\\.dev/image=0123",
        "--wait",
        "--timeout=180s",
    ]


def test_kind_and_the_chart_agree_on_the_ports() -> None:
    kind = yaml.safe_load((CHECKOUT / "kind-config.yaml").read_text())
    values = yaml.safe_load((CHECKOUT / "tools" / "cluster" / "values.yaml").read_text())
    assert kind["name"] == KIND_NAME
    assert kind["nodes"][0]["extraPortMappings"] == [
        {
            "containerPort": GATEWAY_NODE_PORT,
            "hostPort": ENDPOINT_PORT,
            "listenAddress": "127.0.0.1",
            "protocol": "TCP",
        }
    ]
    assert values["gateway"] == {
        "endpoint": f"http://127.0.0.1:{ENDPOINT_PORT}",
        "service": {"type": "NodePort", "nodePort": GATEWAY_NODE_PORT},
    }


def test_dns_asks_others_only_where_there_are_any() -> None:
    assert "forward . /etc/resolv.conf" in corefile(forwards=True)
    assert "forward" not in corefile(forwards=False)


def test_environment_is_lines_of_names_and_values() -> None:
    assert environment(Path("/k"), "http://127.0.0.1:9010") == "KUBECONFIG=/k\nLAMBENT_ENDPOINT=http://127.0.0.1:9010\n"


def test_a_cluster_in_use_stays_in_use(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    assert current(places) is None
    places.state.mkdir()
    for text, provider in (
        ("kind", Kind(places)),
        ("one-node", OneNode(places)),
        ("given /a b", Given(places, Path("/a b"))),
    ):
        places.provider.write_text(text)
        assert current(places) == provider
        assert choose(places, None) == provider
        assert choose(places, str(places.kubeconfig)) == provider


def test_another_checkouts_node_is_reached_as_ones_own(tmp_path: Path) -> None:
    places = Places(tmp_path / "mine", tmp_path, tmp_path / "run")
    theirs = Places(tmp_path / "theirs", tmp_path, tmp_path / "run")
    places.run.mkdir()
    (places.run / "owner").write_text(str(theirs.checkout))
    assert Given(places, theirs.kubeconfig).endpoint() == "http://127.0.0.1:9010"


def test_a_cluster_of_others_takes_no_files(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path, tmp_path / "run")
    with pytest.raises(ClusterError, match=r"push /x\.tar where its nodes pull from"):
        Given(places, Path("/elsewhere")).load(Path("/x.tar"), None)
