"""Where the API server is and how to speak with it: from within a pod, or from a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoCluster(Exception):
    """The message says what is missing."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    server: str
    """URL without a slash at the end."""
    tls: ssl.SSLContext | None
    token_file: Path | None = None
    """Read again and again: the kubelet replaces it before it expires."""
    token: str | None = None

    def authorization(self) -> dict[str, str]:
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def cluster_access(environ: dict[str, str] | None = None) -> ClusterAccess:
    """From KUBECONFIG where it is set, else from the pod's service account. Raises `NoCluster`."""
    environ = dict(os.environ) if environ is None else environ
    if environ.get("KUBECONFIG"):
        return from_kubeconfig(Path(environ["KUBECONFIG"].split(os.pathsep)[0]))
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise NoCluster("no cluster: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set")
    if ":" in host:
        host = f"[{host}]"
    tls = ssl.create_default_context(cafile=str(_MOUNTED / "ca.crt"))
    return ClusterAccess(f"https://{host}:{port}", tls, _MOUNTED / "token")


def from_kubeconfig(path: Path) -> ClusterAccess:
    """The current context of a kubeconfig; tokens and client certificates, no plugins. Raises `NoCluster`."""
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text())
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise NoCluster(f"the kubeconfig {path} can't be used: {error}") from error
    server: str = cluster["server"].rstrip("/")
    tls = None
    if server.startswith("https:"):
        tls = ssl.create_default_context(cadata=_bytes(cluster, "certificate-authority", path).decode() or None)
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if certificate := _bytes(user, "client-certificate", path):
            _load_client_certificate(tls, certificate, _bytes(user, "client-key", path))
    token_file = Path(user["tokenFile"]) if user.get("tokenFile") else None
    return ClusterAccess(server, tls, token_file, user.get("token"))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(f"it has no entry {name!r}")


def _bytes(entry: dict[str, Any], member: str, path: Path) -> bytes:
    """A file's content, or what stands in the kubeconfig itself."""
    if f"{member}-data" in entry:
        return base64.b64decode(entry[f"{member}-data"])
    return (path.parent / entry[member]).read_bytes() if member in entry else b""


def _load_client_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:  # the ssl module reads files alone
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
