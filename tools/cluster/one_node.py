"""
The cluster of one node: starts and ends the programs, and says how they are.

One machine carries one such node. `<run>/owner` says whose it is, and lives as long as the machine is up. One that was brought up for a
process, as test suites do, is nobody's once that process has ended: `<run>/keeper` names it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.cluster import binaries, certificates, debian, dns, image_archives, machine, node, objects, processes
from tools.cluster.commands import ClusterError, run, say, succeeds, wait_for
from tools.cluster.image_archives import Archive, Recipe, last_built
from tools.cluster.image_builders import image_builder
from tools.cluster.places import Places

READY_SECONDS = 180
SYSTEM_IMAGES = {node.PAUSE_IMAGE: "pause", node.COREDNS_IMAGE: "coredns"}


def up(places: Places, keeper: int | None = None) -> None:
    """Starts what does not run; `keeper`: the process it is for, if it is not for whoever comes. Raises `ClusterError`."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the one-node cluster needs root; as another user, start Docker and install kind, or set KUBECONFIG"
        )
    binaries.build(places, binaries.NODE)
    debian.install(debian.NODE_PACKAGES)
    archives = system_images(places)
    _take_possession(places, keeper)
    machine.prepare(places)
    certificates.make(places)
    _configure(places)
    started: list[str] = []
    for daemon in node.daemons(places):
        processes.start(daemon, places)
        started.append(daemon.name)
        if daemon.name == "containerd":
            _wait(places, started, "containerd", lambda: succeeds(*_ctr(places), "version"))
            for archive in archives:
                load(archive.file, archive.identity, places)
        if daemon.name == "kube-apiserver":
            _wait(places, started, "the API server", lambda: _kubectl_succeeds(places, "get", "--raw=/readyz"))
    kubectl(places, "apply", "-f", "-", input=node.as_json(objects.initial_objects(forwards=machine.has_name_server())))
    _wait(places, started, "the node", lambda: _node_ready(places))
    wanted = [node.API_SERVICE]
    name = "kubernetes.default.svc.cluster.local"
    _wait(places, started, "the cluster's DNS", lambda: dns.resolve(name, node.DNS_SERVICE) == wanted)


def down(places: Places) -> None:
    """
    Leaves nothing behind, whatever state `up` got into. Images and programs stay in the cache.

    Of the node of another checkout nothing is touched, as long as that checkout exists and whoever it was brought up for runs.
    """
    whose = owner(places)
    if whose is None or (whose != places.checkout and whose.exists() and not _abandoned(places)):
        return
    left = Places(whose, places.cache, places.run)
    # All state goes, so nobody needs time to save any. The kubelet ends before the pods, which it would start anew.
    for daemon in reversed(node.daemons(left)):
        processes.stop(daemon.name, left, patience_seconds=0)
    machine.restore(left)
    shutil.rmtree(left.state, ignore_errors=True)
    shutil.rmtree(left.run)


def owner(places: Places) -> Path | None:
    """The checkout whose cluster this machine carries."""
    try:
        return Path((places.run / "owner").read_text())
    except FileNotFoundError:
        return None


def occupied(places: Places) -> bool:
    """Whether this machine carries a node that somebody may still use."""
    return owner(places) is not None and not _abandoned(places)


def status(places: Places) -> list[str]:
    lines = []
    for daemon in node.daemons(places):
        pid = processes.running(daemon.name, places)
        log = processes.log_file(daemon.name, places)
        lines.append(f"{daemon.name:<24} {f'process {pid}' if pid else 'does not run'}  {log}")
    return lines


def stop_daemon(name: str, places: Places) -> None:
    """For those who want to see what the loss of one does; `up` starts it again."""
    names = [daemon.name for daemon in node.daemons(places)]
    if name not in names:
        raise ClusterError(f"{name} is none of {', '.join(names)}")
    processes.stop(name, places)


def load(image: Path, identity: str | None, places: Places) -> None:
    """`identity` is known of what was built here; what the node has of it is not loaded again, whichever checkout it came from."""
    loaded = places.run / "images" / image.stem
    if identity and loaded.exists() and loaded.read_text() == identity:
        return
    run(*_ctr(places), "--namespace", "k8s.io", "images", "import", image)
    if identity:
        loaded.parent.mkdir(exist_ok=True)
        loaded.write_text(identity)
    else:  # it may have been any
        shutil.rmtree(loaded.parent, ignore_errors=True)


def kubectl(places: Places, *words: str, input: str | None = None) -> str:
    return run(places.binaries / "kubectl", f"--kubeconfig={places.kubeconfig}", *words, input=input)


def system_images(places: Places) -> list[Archive]:
    """What a node needs before it can run any pod, built from nothing but our programs."""
    archives = []
    for image, program in SYSTEM_IMAGES.items():
        with tempfile.TemporaryDirectory(dir=places.cache) as folder:
            context = Path(folder) / program
            context.mkdir()
            os.link(places.binaries / program, context / program)
            recipe = Recipe(image, binaries.HERE / "addons" / program / "Dockerfile", context)
            archive = last_built(image, places)
            if archive is None or archive.identity != recipe.identity:
                archive = image_archives.build(recipe, image_builder(places), places)
            archives.append(archive)
    return archives


def _take_possession(places: Places, keeper: int | None) -> None:
    """Of a machine without an owner; what our cluster left when the machine went down is removed, and what nobody uses any more."""
    if _abandoned(places):
        down(places)
    whose = owner(places)
    if whose and whose != places.checkout:
        hint = f"use it with KUBECONFIG={whose / '.cluster' / 'kubeconfig'}, or take it down there with `make cluster-down`"
        raise ClusterError(f"this machine carries the cluster of {whose} already: {hint}")
    if whose:
        return
    reason = machine.other_node(places)
    if reason:
        raise ClusterError(reason)
    shutil.rmtree(places.state, ignore_errors=True)
    places.run.mkdir(parents=True, exist_ok=True)  # whoever was killed right here has left it without an owner
    if keeper is not None:
        _keeper(places).write_text(json.dumps({"pid": keeper, "started": processes.started(keeper)}))
    (places.run / "owner").write_text(str(places.checkout))


def _abandoned(places: Places) -> bool:
    try:
        keeper = json.loads(_keeper(places).read_text())
    except FileNotFoundError:
        return False
    return bool(processes.started(keeper["pid"]) != keeper["started"])


def _keeper(places: Places) -> Path:
    return places.run / "keeper"


def _configure(places: Places) -> None:
    files = node.configuration_files(places, str(machine.resolv_conf()))
    files |= {
        f"{identity.name}.kubeconfig": certificates.kubeconfig_of(places, identity) for identity in node.IDENTITIES
    }
    for name, text in files.items():
        path = places.configuration / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:  # kube-proxy ends when its file is written
            path.write_text(text)
    shutil.copy(places.configuration / "admin.kubeconfig", places.kubeconfig)
    (places.state / "volumes").mkdir(exist_ok=True)


def _wait(places: Places, started: Sequence[str], what: str, condition: Callable[[], bool]) -> None:
    """As long as all that was started runs: one that has ended is an error at once, with what it said last."""

    def alive() -> bool:
        for name in started:
            if processes.running(name, places) is None:
                last = processes.log_file(name, places).read_text(errors="replace").splitlines()[-15:]
                raise ClusterError("\n".join([f"{name} has ended:", *last]))
        return condition()

    say(f"Waiting for {what}")
    wait_for(what, alive, seconds=READY_SECONDS)


def _node_ready(places: Places) -> bool:
    condition = '{.status.conditions[?(@.type=="Ready")].status}'
    command = ("get", "node", node.NAME, "--ignore-not-found", f"--output=jsonpath={condition}")
    return kubectl(places, *command) == "True"


def _kubectl_succeeds(places: Places, *words: str) -> bool:
    return succeeds(places.binaries / "kubectl", f"--kubeconfig={places.kubeconfig}", *words)


def _ctr(places: Places) -> list[str | Path]:
    return ["ctr", "--address", places.containerd_socket]
