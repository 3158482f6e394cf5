"""The node's configuration as whole values: every number here is one that another program relies on."""

from __future__ import annotations

import json
from pathlib import Path

from tools.cluster import node
from tools.cluster.places import Places

PLACES = Places(Path("/checkout"), Path("/cache"))
BINARIES = "/cache/kubernetes/v1.34.4/bin"
CERTIFICATES = "/checkout/.cluster/certificates"


def commands() -> dict[str, tuple[str, ...]]:
    return {daemon.name: daemon.command for daemon in node.daemons(PLACES)}


def test_daemons_start_after_what_they_need() -> None:
    assert list(commands()) == [
        "containerd",
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "local-volumes",
    ]


def test_etcd_listens_to_certificates_of_this_cluster_alone() -> None:
    assert commands()["etcd"] == (
        "etcd",
        "--name=lambent",
        "--data-dir=/checkout/.cluster/etcd",
        "--listen-client-urls=https://127.0.0.1:12379",
        "--advertise-client-urls=https://127.0.0.1:12379",
        "--listen-peer-urls=http://127.0.0.1:12380",
        "--initial-advertise-peer-urls=http://127.0.0.1:12380",
        "--initial-cluster=lambent=http://127.0.0.1:12380",
        "--client-cert-auth",
        f"--trusted-ca-file={CERTIFICATES}/ca.crt",
        f"--cert-file={CERTIFICATES}/etcd.crt",
        f"--key-file={CERTIFICATES}/etcd.key",
        "--unsafe-no-fsync",
        "--logger=zap",
        "--log-level=warn",
    )


def test_api_server() -> None:
    assert commands()["kube-apiserver"] == (
        f"{BINARIES}/kube-apiserver",
        "--advertise-address=10.245.0.1",
        "--bind-address=10.245.0.1",
        "--etcd-servers=https://127.0.0.1:12379",
        f"--etcd-cafile={CERTIFICATES}/ca.crt",
        f"--etcd-certfile={CERTIFICATES}/kube-apiserver.crt",
        f"--etcd-keyfile={CERTIFICATES}/kube-apiserver.key",
        f"--client-ca-file={CERTIFICATES}/ca.crt",
        f"--tls-cert-file={CERTIFICATES}/kube-apiserver.crt",
        f"--tls-private-key-file={CERTIFICATES}/kube-apiserver.key",
        f"--kubelet-client-certificate={CERTIFICATES}/kube-apiserver.crt",
        f"--kubelet-client-key={CERTIFICATES}/kube-apiserver.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={CERTIFICATES}/service-accounts.key",
        f"--service-account-signing-key-file={CERTIFICATES}/service-accounts.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    )


def test_kubelet_is_the_node_of_the_loopback_address() -> None:
    assert commands()["kubelet"] == (
        f"{BINARIES}/kubelet",
        "--kubeconfig=/checkout/.cluster/configuration/kubelet.kubeconfig",
        "--config=/checkout/.cluster/configuration/kubelet.json",
        "--root-dir=/checkout/.cluster/kubelet",
        "--cert-dir=/checkout/.cluster/kubelet/pki",
        "--hostname-override=lambent",
        "--node-ip=10.245.0.1",
    )


def test_kubelet_configuration_collects_no_images_and_runs_on_either_cgroup_version() -> None:
    assert node.kubelet(PLACES, "/etc/resolv.conf") == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "10.245.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{CERTIFICATES}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": "unix:///run/lambent-cluster/containerd.sock",
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "podLogsDir": "/checkout/.cluster/logs/pods",
        "volumePluginDir": "/checkout/.cluster/kubelet/volume-plugins",
        "maxPods": 500,
        "podPidsLimit": 4096,
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "4s",
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
    }


def test_network() -> None:
    assert node.network(PLACES) == {
        "cniVersion": "1.0.0",
        "name": "lambent",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "lambent0",
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/lambent-cluster/networks",
                    "ranges": [[{"subnet": "10.244.0.0/16"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def test_pods_may_speak_where_nothing_else_is_forwarded() -> None:
    assert (
        node.forwarding()
        == """\
*filter
:CNI-LAMBENT - [0:0]
-A CNI-LAMBENT -i lambent0 -j ACCEPT
-A CNI-LAMBENT -o lambent0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD -j CNI-LAMBENT
COMMIT
"""
    )


def test_containerd_keeps_to_its_own_folders() -> None:
    assert (
        node.containerd(PLACES)
        == """\
version = 2
root = "/checkout/.cluster/containerd"
state = "/run/lambent-cluster/containerd"

[grpc]
  address = "/run/lambent-cluster/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "/checkout/.cluster/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/lambent/pause:dev"
  # Without CAP_SYS_RESOURCE runc can't lower a score, and dies of trying.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/checkout/.cluster/configuration/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "/run/lambent-cluster/runc"
  SystemdCgroup = false
"""
    )


def test_socket_paths_fit_whatever_the_checkout_is_called() -> None:
    deep = Places(Path("/" + "long/" * 60), Path("/cache"))
    assert len(str(deep.containerd_socket) + ".ttrpc") < 108


def test_configuration_files_are_what_the_commands_name() -> None:
    written = set(node.configuration_files(PLACES, "/etc/resolv.conf"))
    written |= {f"{identity.name}.kubeconfig" for identity in node.IDENTITIES}
    folder = str(PLACES.configuration)
    words = [word for command in commands().values() for word in command] + [json.dumps(node.kube_proxy(PLACES))]
    named = {part.split('"')[0] for word in words for part in word.split(f"{folder}/")[1:]}
    assert named <= written


def test_subjects_are_who_kubernetes_takes_them_for() -> None:
    assert {identity.name: identity.subject for identity in node.IDENTITIES} == {
        "etcd": "/CN=etcd",
        "kube-apiserver": "/O=system:masters/CN=kube-apiserver",
        "admin": "/O=system:masters/CN=kubernetes-admin",
        "kubelet": "/O=system:nodes/CN=system:node:lambent",
        "kube-controller-manager": "/CN=system:kube-controller-manager",
        "kube-scheduler": "/CN=system:kube-scheduler",
        "kube-proxy": "/CN=system:kube-proxy",
    }
