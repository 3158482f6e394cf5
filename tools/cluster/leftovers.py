"""
What a node leaves on a machine, read from the machine's own lists: which firewall rules, mounts, links and cgroups are the cluster's.
Pure: `machine` reads the lists and does the removing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CHAINS = ("KUBE-", "CNI-")
"""Chains of kube-proxy, the kubelet and the network plug-ins."""


def firewall_removal(saved: str) -> str:
    """Input for `iptables-restore --noflush` that takes the cluster's chains, and the rules that lead to them, out of `saved`."""
    script: list[str] = []
    for table, lines in _tables(saved):
        chains = [line[1:].split()[0] for line in lines if line.startswith(":") and _ours(line[1:])]
        jumps = [line for line in lines if line.startswith("-A ") and not _ours(line[3:]) and _leads_to(line, chains)]
        if chains:
            script.append(f"*{table}")
            script += [f":{chain} - [0:0]" for chain in chains]  # empties it
            script += [f"-D {jump.removeprefix('-A ')}" for jump in jumps]
            script += [f"-X {chain}" for chain in chains]
            script.append("COMMIT")
    return "".join(f"{line}\n" for line in script)


def _tables(saved: str) -> Iterable[tuple[str, list[str]]]:
    table = ""
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, lines = line[1:], []
        elif line == "COMMIT":
            yield table, lines
        else:
            lines.append(line)


def _ours(chain: str) -> bool:
    return chain.startswith(CHAINS)


def _leads_to(rule: str, chains: Sequence[str]) -> bool:
    words = rule.split()
    return any(words[at] in ("-j", "-g") and words[at + 1] in chains for at in range(len(words) - 1))


def mounts_below(mountinfo: str, folders: Sequence[Path]) -> list[Path]:
    """Mount points in or below `folders`, the deepest first: the order in which they can be unmounted."""
    points = [Path(line.split()[4].replace("\\040", " ")) for line in mountinfo.splitlines()]
    inside = [point for point in points if any(point.is_relative_to(folder) for folder in folders)]
    return sorted(inside, key=lambda point: len(point.parts), reverse=True)


def cgroup_roots(mounts: str) -> list[Path]:
    """Of every hierarchy, whichever version it is."""
    fields = [line.split() for line in mounts.splitlines()]
    return [Path(words[1]) for words in fields if words[2] in ("cgroup", "cgroup2")]


def links_of(links: Sequence[dict[str, Any]], bridge: str) -> list[str]:
    """The bridge, after what hangs on it; `links` as `ip -json link` tells them."""
    ports = [link["ifname"] for link in links if link.get("master") == bridge]
    return [*ports, *(link["ifname"] for link in links if link["ifname"] == bridge)]
