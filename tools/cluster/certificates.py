"""An authority of the cluster's own and a certificate for every identity, made with `openssl`."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

from tools.cluster.commands import run
from tools.cluster.node import IDENTITIES, Identity, as_json, kubeconfig
from tools.cluster.places import Places

# openssl's own configuration would add extensions of its choice.
CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
REQUEST = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")


def make(places: Places) -> None:
    """Once: all of them, or none."""
    if places.certificates.exists():
        return
    folder = places.certificates.with_suffix(".new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    (folder / "openssl.cnf").write_text(CONFIGURATION)
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "service-accounts.key")
    _openssl(folder, "ca", "/CN=lambent-cluster", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    for identity in IDENTITIES:
        names = [f"subjectAltName={','.join(identity.addresses)}"] if identity.addresses else []
        _openssl(
            folder,
            identity.name,
            identity.subject,
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=serverAuth,clientAuth",
            *names,
            authority="ca",
        )
    folder.rename(places.certificates)


def _openssl(folder: Path, name: str, subject: str, *extensions: str, authority: str | None = None) -> None:
    files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    signer = ("-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key") if authority else ()
    added = [word for extension in extensions for word in ("-addext", extension)]
    run("openssl", *REQUEST, "-config", folder / "openssl.cnf", "-subj", subject, *added, *signer, *files)


def kubeconfig_of(places: Places, identity: Identity) -> str:
    def encoded(file: str) -> str:
        return base64.b64encode((places.certificates / file).read_bytes()).decode()

    return as_json(kubeconfig(encoded("ca.crt"), encoded(f"{identity.name}.crt"), encoded(f"{identity.name}.key")))
