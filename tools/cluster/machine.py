"""The machine that carries the node: what the cluster changes of it, and how that is taken back."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from tools.cluster import control_groups, leftovers, processes
from tools.cluster.commands import run, succeeds, wait_for
from tools.cluster.node import ADDRESS, BRIDGE, FORWARDING_CHAIN, LISTENING_PORTS, forwarding
from tools.cluster.places import Places

WANTED_SETTINGS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
CHANGED_SETTINGS = (
    *WANTED_SETTINGS,
    "net/bridge/bridge-nf-call-ip6tables",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
)
"""What we, the kubelet, kube-proxy and the network plug-ins write."""
MODULES = ("overlay", "br_netfilter", "nf_conntrack")
SHARED_FOLDERS = (
    Path("/run/containerd"),
    Path("/var/lib/cni"),
    Path("/var/log/containers"),
    Path("/var/lib/kubelet"),
    Path("/etc/cni"),
    Path("/opt/cni"),
)
"""Fixed in the programs, whatever their configuration says; those that were not there before go again."""
UNMOUNT_SECONDS = 10
FIREWALLS = ("iptables", "ip6tables")


def other_node(places: Places) -> str | None:
    """Why this machine can't carry our node, or None."""
    saved = run("iptables-save") if succeeds("iptables-save") else ""
    if leftovers.firewall_removal(saved):
        return "a kubelet or container network is at home on this machine: name its cluster in KUBECONFIG"
    taken = [port for port in LISTENING_PORTS if _listens(port)]
    if taken:
        return f"ports are taken: {', '.join(map(str, taken))}"
    return None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


def prepare(places: Places) -> None:
    """Records how the machine is, and makes it what a node needs."""
    for module in MODULES:
        succeeds("modprobe", module)  # or it is built in
    if not _record(places).exists():
        former = {
            "settings": {name: value for name in CHANGED_SETTINGS if (value := _setting(name)) is not None},
            "folders": [str(folder) for folder in SHARED_FOLDERS if not folder.exists()],
        }
        _record(places).write_text(json.dumps(former, indent=2))
    for name, value in WANTED_SETTINGS.items():
        if (Path("/proc/sys") / name).exists():
            (Path("/proc/sys") / name).write_text(value)
    run("ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo")
    if FORWARDING_CHAIN not in run("iptables-save", "-t", "filter"):
        run("iptables-restore", "--noflush", input=forwarding())


def restore(places: Places) -> None:
    """Takes back everything that `prepare`, the daemons and the pods did. The daemons have ended before."""
    while left := [*pod_processes(), *shims(places)]:  # a shim may have been starting one
        for pid in left:
            processes.end(pid, patience_seconds=0)
    wait_for("all to be unmounted", lambda: _unmount_below(places.state, places.run), seconds=UNMOUNT_SECONDS)
    for link in leftovers.links_of(json.loads(run("ip", "-json", "link")), BRIDGE):
        succeeds("ip", "link", "delete", link)  # a veth goes together with its other end
    for firewall in FIREWALLS:
        removal = leftovers.firewall_removal(run(f"{firewall}-save")) if succeeds(f"{firewall}-save") else ""
        if removal:
            run(f"{firewall}-restore", "--noflush", input=removal)
    control_groups.remove()
    succeeds("ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo")
    if _record(places).exists():
        former = json.loads(_record(places).read_text())
        for name, value in former["settings"].items():
            if _setting(name) != value:
                (Path("/proc/sys") / name).write_text(value)
        for folder in map(Path, former["folders"]):
            shutil.rmtree(folder, ignore_errors=True)


def pod_processes() -> list[int]:
    found = {
        int(pid)
        for folder in control_groups.of_pods()
        for file in folder.rglob("cgroup.procs")
        for pid in file.read_text().split()
    }
    return sorted(found - {0, os.getpid()})


def shims(places: Places) -> Iterator[int]:
    """Processes that stand between our containerd and its containers, and outlive it."""
    ours = [b"-address", os.fsencode(places.containerd_socket)]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"containerd-shim" in words[0] and any(words[at : at + 2] == ours for at in range(len(words))):
            yield int(folder.name)


def _unmount_below(*folders: Path) -> bool:
    """Whether nothing was mounted there any more."""
    points = leftovers.mounts_below(Path("/proc/self/mountinfo").read_text(), folders)
    for point in points:
        # One that is refused may have gone by itself, with its pod; or somebody stands in it, and it goes when they leave.
        if not succeeds("umount", point):
            succeeds("umount", "--lazy", point)
    return not points


def _setting(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return None


def _record(places: Places) -> Path:
    return places.run / "machine.json"


def resolv_conf() -> Path:
    """systemd-resolved's stub listens where pods can't reach it."""
    real = Path("/run/systemd/resolve/resolv.conf")
    return real if real.exists() else Path("/etc/resolv.conf")


def has_name_server() -> bool:
    try:
        return any(line.startswith("nameserver") for line in resolv_conf().read_text().splitlines())
    except FileNotFoundError:
        return False
