"""
Writes docs/compatibility.md from the table of operations, a replay of AWS's recorded answers, and the reasons in differences.toml.

    python -m tests.conformance.compatibility
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lambent_gateway.api.handlers import HANDLERS, INVOCATIONS
from tests.conformance.api_replay import RECORDED, Check, replay
from tests.platform_process import Platform

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
HERE = Path(__file__).parent

IMPLEMENTED = sorted({*HANDLERS, *INVOCATIONS})
_INTRODUCTION = (HERE / "compatibility_introduction.md").read_text()


def render(checks: Sequence[Check]) -> str:
    """The page. Raises LookupError for a difference that nobody gave a reason for."""
    return "\n".join([_INTRODUCTION, *_operations(), "", *_agreement(checks), "", *_differences(checks), ""])


def differing(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.verdict != "full"]


def _operations() -> Iterator[str]:
    recorded = json.loads((RECORDED / "lambda_operations.json").read_text())
    yield "## Operations"
    yield ""
    yield f"{len(IMPLEMENTED)} of {recorded['count']}. Every other one answers 501, `NotImplementedException`, and names itself."
    yield ""
    yield "| area | implemented | not yet |"
    yield "| --- | --- | --- |"
    for area, names in recorded["areas"].items():
        done = ", ".join(f"`{name}`" for name in names if name in IMPLEMENTED)
        missing = ", ".join(f"`{name}`" for name in names if name not in IMPLEMENTED)
        yield f"| {area} | {done} | {missing} |"


def _agreement(checks: Sequence[Check]) -> Iterator[str]:
    yield "## Agreement with AWS's recorded answers, by area"
    yield ""
    yield "*Full*: equal down to texts. *Core*: status and error code, or status and every member, are equal."
    yield "*In reach*: checks that stand on nothing that Lambent does not have yet."
    yield ""
    yield "| area | checks | full | core | in reach | of these full | of these full or core |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for area in sorted({check.area for check in checks}):
        of_area = [check for check in checks if check.area == area]
        verdicts = Counter(check.verdict for check in of_area)
        reach = Counter(check.verdict for check in of_area if check.later is None)
        total = reach.total()
        share = [f"{number * 100 // total} %" if total else "" for number in (reach["full"], total - reach["fail"])]
        cells = [area, str(len(of_area)), str(verdicts["full"]), str(verdicts["core"]), str(total), *share]
        yield f"| {' | '.join(cells)} |"


def _differences(checks: Sequence[Check]) -> Iterator[str]:
    yield "## Every difference, by its reason"
    by_reason: defaultdict[str, list[Check]] = defaultdict(list)
    for check in differing(checks):
        by_reason[_reason(check)].append(check)
    for reason in sorted(by_reason):
        yield ""
        yield f"### {reason}"
        yield ""
        for check in by_reason[reason]:
            yield f"- `{check.scenario}` · {check.label}: {'in core' if check.verdict == 'core' else 'differs'}"


def _reason(check: Check) -> str:
    for difference in tomllib.loads((HERE / "differences.toml").read_text())["difference"]:
        if re.search(difference["check"], check.name):
            return str(difference["reason"])
    if check.later in ("S3", "SQS", "ECR"):
        return f"Needs {check.later}, which Lambent does not read from yet."
    if check.later is not None:
        return f"Needs `{check.later}`."
    raise LookupError(f"no reason is given in differences.toml for {check.name}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder) / "data").start()
        try:
            PAGE.write_text(render(replay(platform.endpoint, IMPLEMENTED)))
        finally:
            platform.end()


if __name__ == "__main__":
    main()
