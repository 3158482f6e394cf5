"""
The one node's settings as values: every program's command line and configuration file. Pure: no file is read or written here.

The node has an address of its own on the loopback link. So the cluster does not care which network the machine is in, works without
one, and is not reachable from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.places import Places

NAME = "lambent"
ADDRESS = "10.245.0.1"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DNS_PORT = 1053
"""Of CoreDNS's pod: below 1024 it would need a capability."""
API_SERVER = f"https://{ADDRESS}:6443"
ETCD = "https://127.0.0.1:12379"
ETCD_PEERS = "http://127.0.0.1:12380"
LISTENING_PORTS = (6443, 10248, 10249, 10250, 10256, 12379, 12380)
BRIDGE = "lambent0"
CNI_PLUGINS = Path("/usr/lib/cni")
PAUSE_IMAGE = "localhost/lambent/pause:dev"
COREDNS_IMAGE = "localhost/lambent/coredns:dev"
STORAGE_CLASS = "local"
PROVISIONER = "lambent.dev/local-volumes"


@dataclass(frozen=True)
class Daemon:
    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Identity:
    """A certificate: who it is for, what Kubernetes takes its owner for, and where it serves."""

    name: str
    common_name: str
    organization: str | None = None
    addresses: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"


IDENTITIES = (
    Identity("etcd", "etcd", addresses=("IP:127.0.0.1",)),
    Identity(
        "kube-apiserver",
        "kube-apiserver",
        "system:masters",  # what it is for the kubelet, whose logs and shells it passes on
        (
            "DNS:kubernetes",
            "DNS:kubernetes.default",
            "DNS:kubernetes.default.svc",
            "DNS:kubernetes.default.svc.cluster.local",
            "DNS:localhost",
            "IP:127.0.0.1",
            f"IP:{ADDRESS}",
            f"IP:{API_SERVICE}",
        ),
    ),
    Identity("admin", "kubernetes-admin", "system:masters"),
    Identity("kubelet", f"system:node:{NAME}", "system:nodes"),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kube-proxy", "system:kube-proxy"),
)


def daemons(places: Places) -> list[Daemon]:
    """In the order in which they start; they end in the opposite one."""
    certificates, configuration = places.certificates, places.configuration

    def program(name: str, *arguments: str) -> Daemon:
        return Daemon(name, (str(places.binaries / name), *arguments))

    def kubeconfig(name: str) -> str:
        return f"--kubeconfig={configuration / f'{name}.kubeconfig'}"

    return [
        Daemon("containerd", ("containerd", "--config", str(configuration / "containerd.toml"))),
        Daemon(
            "etcd",
            (
                "etcd",
                f"--name={NAME}",
                f"--data-dir={places.state / 'etcd'}",
                f"--listen-client-urls={ETCD}",
                f"--advertise-client-urls={ETCD}",
                f"--listen-peer-urls={ETCD_PEERS}",
                f"--initial-advertise-peer-urls={ETCD_PEERS}",
                f"--initial-cluster={NAME}={ETCD_PEERS}",
                "--client-cert-auth",
                f"--trusted-ca-file={certificates / 'ca.crt'}",
                f"--cert-file={certificates / 'etcd.crt'}",
                f"--key-file={certificates / 'etcd.key'}",
                "--unsafe-no-fsync",
                "--logger=zap",
                "--log-level=warn",
            ),
        ),
        program(
            "kube-apiserver",
            f"--advertise-address={ADDRESS}",
            f"--bind-address={ADDRESS}",
            f"--etcd-servers={ETCD}",
            f"--etcd-cafile={certificates / 'ca.crt'}",
            f"--etcd-certfile={certificates / 'kube-apiserver.crt'}",
            f"--etcd-keyfile={certificates / 'kube-apiserver.key'}",
            f"--client-ca-file={certificates / 'ca.crt'}",
            f"--tls-cert-file={certificates / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={certificates / 'kube-apiserver.key'}",
            f"--kubelet-client-certificate={certificates / 'kube-apiserver.crt'}",
            f"--kubelet-client-key={certificates / 'kube-apiserver.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={certificates / 'service-accounts.key'}",
            f"--service-account-signing-key-file={certificates / 'service-accounts.key'}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
        ),
        program(
            "kube-controller-manager",
            kubeconfig("kube-controller-manager"),
            "--leader-elect=false",
            "--secure-port=0",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={certificates / 'service-accounts.key'}",
            f"--root-ca-file={certificates / 'ca.crt'}",
            f"--cluster-signing-cert-file={certificates / 'ca.crt'}",
            f"--cluster-signing-key-file={certificates / 'ca.key'}",
            # A lost kubelet shows after 20 s.
            "--node-monitor-period=2s",
            "--node-monitor-grace-period=20s",
        ),
        program("kube-scheduler", kubeconfig("kube-scheduler"), "--leader-elect=false", "--secure-port=0"),
        program(
            "kubelet",
            kubeconfig("kubelet"),
            f"--config={configuration / 'kubelet.json'}",
            f"--root-dir={places.state / 'kubelet'}",
            f"--cert-dir={places.state / 'kubelet' / 'pki'}",
            f"--hostname-override={NAME}",
            f"--node-ip={ADDRESS}",
        ),
        program("kube-proxy", f"--config={configuration / 'kube-proxy.json'}"),
        program(
            "local-volumes",
            f"--kubeconfig={places.kubeconfig}",
            f"--folder={places.state / 'volumes'}",
            f"--provisioner={PROVISIONER}",
        ),
    ]


FORWARDING_CHAIN = "CNI-LAMBENT"


def forwarding() -> str:
    """Input for `iptables-restore --noflush`: pods may speak, also where the machine forwards nothing else (Docker sees to that)."""
    return f"""\
*filter
:{FORWARDING_CHAIN} - [0:0]
-A {FORWARDING_CHAIN} -i {BRIDGE} -j ACCEPT
-A {FORWARDING_CHAIN} -o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD -j {FORWARDING_CHAIN}
COMMIT
"""


def containerd(places: Places) -> str:
    return f"""\
version = 2
root = "{places.state / "containerd"}"
state = "{places.run / "containerd"}"

[grpc]
  address = "{places.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{places.state / "containerd" / "opt"}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE runc can't lower a score, and dies of trying.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{places.configuration / "cni"}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{places.run / "runc"}"
  SystemdCgroup = false
"""


def network(places: Places) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": NAME,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(places.run / "networks"),
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(places: Places, resolv_conf: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(places.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": resolv_conf,
        "podLogsDir": str(places.logs / "pods"),
        "volumePluginDir": str(places.state / "kubelet" / "volume-plugins"),
        "maxPods": 500,
        "podPidsLimit": 4096,
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "4s",
        # A developer's disk is full at 85 %, and an image that is collected can't be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
    }


def kube_proxy(places: Places) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(places.configuration / "kube-proxy.kubeconfig")},
        "hostnameOverride": NAME,
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"minSyncPeriod": "100ms"},
        # The machine's own settings of connection tracking stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def kubeconfig(authority: str, certificate: str, key: str) -> dict[str, Any]:
    """All three base64-encoded: the file works wherever it is copied to."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": API_SERVER, "certificate-authority-data": authority}}],
        "users": [{"name": NAME, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }


def configuration_files(places: Places, resolv_conf: str) -> dict[str, str]:
    """By path below the configuration folder."""
    return {
        "containerd.toml": containerd(places),
        "cni/10-lambent.conflist": as_json(network(places)),
        "kubelet.json": as_json(kubelet(places, resolv_conf)),
        "kube-proxy.json": as_json(kube_proxy(places)),
    }


def as_json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
