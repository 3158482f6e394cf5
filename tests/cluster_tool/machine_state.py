"""What a program can leave on a machine, as sets that are compared before and after."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

STEADY_SETTINGS = (
    "net/ipv4",
    "net/ipv6/conf/all",
    "net/bridge",
    "net/netfilter",
    "net/core",
    "vm",
    "kernel",
    "user",
    "fs/inotify",
)
UNSTEADY = re.compile(
    r"kernel/(random/|ns_last_pid|pty/nr|usermodehelper/|sched_domain/|keys/users)|net/netfilter/nf_conntrack_count|net/ipv4/(neigh|conf)/(?!all|default)"
)
"""Counts, and what belongs to single links."""
FOLDERS = ("/run", "/var/lib", "/var/log", "/etc", "/opt", "/usr/libexec", "/sys/fs/bpf")


def machine_state() -> dict[str, set[str]]:
    links = json.loads(_run("ip", "-json", "address"))
    return {
        "mounts": {" ".join(line.split()[4:5]) for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "links": {link["ifname"] for link in links},
        "addresses": {
            f"{link['ifname']} {address['local']}"
            for link in links
            for address in link["addr_info"]
            if address["scope"] != "link"
        },
        # Link-local ones of IPv6 come some time after their link.
        "routes": {route for route in _run("ip", "route", "show", "table", "all").splitlines() if "fe80:" not in route},
        "firewall": {
            f"{command}: {line}"
            for command in ("iptables-save", "ip6tables-save")
            for line in _run(command).splitlines()
            if line.startswith("-A") or re.match(r":\S+ - ", line)
        },
        "control groups": {
            str(folder)
            for root in _control_group_roots()
            for folder in root.rglob("*")
            if folder.is_dir() and re.search(r"kube|cri|containerd|/pod", str(folder.relative_to(root)))
        },
        "network namespaces": _names(Path("/run/netns")),
        "settings": set(_settings()),
        "folders": {name for folder in FOLDERS for name in _names(Path(folder))},
    }


def processes_with(variable: str) -> set[str]:
    """Of those started by a program that had this environment variable, whatever they call themselves."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.add(f"{folder.name} {(folder / 'comm').read_text().strip()}")
        except OSError:
            continue
    return found


def added(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: extra for name in after if (extra := after[name] - before[name])}


def missing(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    return added(after, before)


def _settings() -> list[str]:
    found = []
    for top in STEADY_SETTINGS:
        for file in Path("/proc/sys", top).rglob("*"):
            name = str(file.relative_to("/proc/sys"))
            if UNSTEADY.search(name) or not file.is_file():
                continue
            try:
                found.append(f"{name}={file.read_text().strip()}")
            except OSError:
                continue
    return found


def _names(folder: Path) -> set[str]:
    return {str(entry) for entry in folder.iterdir()} if folder.is_dir() else set()


def _control_group_roots() -> list[Path]:
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(words[1]) for words in lines if words[2] in ("cgroup", "cgroup2")]


def _run(*command: str) -> str:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    ).stdout
