"""docs/rbac.md says what each verb is for; the chart renders those and no others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lambent_operator.leader import LEASE
from tests.chart.rendering import ROOT, Rendered, render

PAGE = ROOT / "docs" / "rbac.md"
Grant = tuple[str, str, str, str, str]
"""Account, where, API group, resource, verb."""


def documented() -> Iterator[Grant]:
    for line in PAGE.read_text().splitlines():
        if not line.startswith("| lambent-"):
            continue
        account, where, group, resources, verbs, why = (cell.strip() for cell in line.strip("|").split("|"))
        assert why, line
        for resource in resources.split(", "):
            for verb in verbs.split(", "):
                yield account, where, group, resource, verb


def granted(rendered: Rendered) -> Iterator[Grant]:
    for binding in (*rendered.of("RoleBinding"), *rendered.of("ClusterRoleBinding")):
        role = rendered.one(binding["roleRef"]["kind"], binding["roleRef"]["name"])
        namespace = binding["metadata"].get("namespace")
        where = {None: "cluster", "functions": "functions", "lambent-system": "system"}[namespace]
        (subject,) = binding["subjects"]
        assert subject["kind"] == "ServiceAccount"
        for rule in role["rules"]:
            assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield subject["name"], where, group, resource, verb


def test_the_page_and_the_roles_say_the_same(everything: Rendered) -> None:
    assert Counter(documented()) == Counter(granted(everything)), "each verb once, in docs/rbac.md and in the chart"


def test_nothing_reads_secrets_and_nothing_is_granted_wholesale(rendered: Rendered) -> None:
    grants = [grant for role in (*rendered.of("Role"), *rendered.of("ClusterRole")) for grant in role["rules"]]
    words = {word for rule in grants for member in ("apiGroups", "resources", "verbs") for word in rule[member]}
    assert not {"*", "secrets", "escalate", "bind", "impersonate"} & words


def test_only_token_reviews_are_granted_everywhere(rendered: Rendered) -> None:
    rules = [rule for role in rendered.of("ClusterRole") for rule in role["rules"]]
    assert rules == [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]


def test_of_leases_only_the_operators_own_is_touched(default: Rendered) -> None:
    rules = [rule for role in default.of("Role") for rule in role["rules"] if rule["resources"] == ["leases"]]
    assert {verb for rule in rules if rule.get("resourceNames") != [LEASE] for verb in rule["verbs"]} == {"create"}


def test_functions_may_do_nothing(rendered: Rendered) -> None:
    bindings = (*rendered.of("RoleBinding"), *rendered.of("ClusterRoleBinding"))
    assert "lambent-function" not in {subject["name"] for binding in bindings for subject in binding["subjects"]}


def test_uninstalling_can_be_left_to_the_user() -> None:
    rendered = render({"uninstall": {"clear": False}})
    assert not [thing for thing in rendered.objects if re.search("uninstall", thing["metadata"]["name"])]
