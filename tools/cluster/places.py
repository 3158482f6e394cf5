"""Where everything of the cluster is, and the numbers that other parts rely on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "v1.34.4"
"""Of the last minor version that runs on cgroup v1 without being asked twice."""
ENDPOINT_PORT = 9010
GATEWAY_NODE_PORT = 30910
"""What the gateway's Service has in tools/cluster/values.yaml, and kind-config.yaml maps to `ENDPOINT_PORT`."""
NAMESPACE = "lambent-system"


@dataclass(frozen=True)
class Places:
    checkout: Path
    cache: Path
    """What is built; may be shared by checkouts."""
    run: Path = Path("/run/lambent-cluster")
    """Sockets, whose paths may have 108 bytes, and all that must not outlive the machine's uptime: pids, former settings."""

    @property
    def binaries(self) -> Path:
        return self.cache / "kubernetes" / KUBERNETES_VERSION / "bin"

    @property
    def kubectl(self) -> Path:
        return self.binaries / "kubectl"

    @property
    def state(self) -> Path:
        return self.checkout / ".cluster"

    @property
    def certificates(self) -> Path:
        return self.state / "certificates"

    @property
    def configuration(self) -> Path:
        return self.state / "configuration"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, of a cluster that was made here."""
        return self.state / "kubeconfig"

    @property
    def environment(self) -> Path:
        """For `source`, and for tests."""
        return self.state / "env"

    @property
    def provider(self) -> Path:
        """Names who made the cluster that is in use."""
        return self.state / "provider"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def archives(self) -> Path:
        """Images as files."""
        return self.cache / "images" / "archives"
