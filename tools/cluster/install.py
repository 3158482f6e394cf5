"""Puts Lambent's chart into the cluster, with the images that were built last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.cluster.commands import run, say
from tools.cluster.image_archives import last_built
from tools.cluster.images import IMAGES
from tools.cluster.places import NAMESPACE, Places
from tools.cluster.providers import Provider

RELEASE = "lambent"
TIMEOUT = "180s"


def install(provider: Provider, places: Places, values: Sequence[Path] = ()) -> None:
    """Or upgrades it: the chart's own values and the development cluster's, and those of further files."""
    platform = last_built(IMAGES[0].name, places)
    say(f"Installing charts/lambent into {NAMESPACE}")
    # Helm leaves definitions alone that are there already.
    definitions = places.checkout / "charts" / "lambent" / "crds"
    kubectl: list[str | Path] = [places.binaries / "kubectl", f"--kubeconfig={provider.kubeconfig}"]
    run(*kubectl, "apply", "--server-side", "--force-conflicts", f"--filename={definitions}")
    run(*kubectl, "wait", "--for=condition=Established", f"--filename={definitions}", "--timeout=60s")
    run(
        places.binaries / "helm",
        *helm_upgrade(places.checkout, provider.kubeconfig, platform.identity if platform else None, values),
    )
    provider.expose()


def helm_upgrade(
    checkout: Path, kubeconfig: Path, image_identity: str | None, values: Sequence[Path] = ()
) -> list[str | Path]:
    """Pods carry the image's identity: the same tag with other content is a change too."""
    here = checkout / "tools" / "cluster"
    annotations = [
        f"--set-string={part}.podAnnotations.lambent\\.dev/image={image_identity}" for part in ("gateway", "operator")
    ]
    return [
        "upgrade",
        "--install",
        RELEASE,
        checkout / "charts" / "lambent",
        f"--kubeconfig={kubeconfig}",
        f"--namespace={NAMESPACE}",
        "--create-namespace",
        *(f"--values={file}" for file in (here / "values.yaml", *values)),
        *(annotations if image_identity else []),
        "--wait",
        f"--timeout={TIMEOUT}",
    ]
