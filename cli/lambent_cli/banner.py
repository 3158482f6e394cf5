"""What `lambent up` prints when the platform serves: addresses, lines to paste, how functions are held."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from lambent_gateway.environments.sandbox import Sandbox

_PAYLOAD = '{"name": "Ann"}'
_MOUNTS = {
    "root": "files: a mount namespace each",
    "user": "files: a mount namespace each (of a user namespace)",
    "none": "files: folders only, nothing keeps a function from reading others' files",
}
_MEMORY = {
    "cgroup1": "memory: cgroup v1",
    "cgroup2": "memory: cgroup v2",
    "watch": "memory: watched by the agent, not by the kernel",
}
_PIDS = {
    "cgroup1": "processes: cgroup v1",
    "cgroup2": "processes: cgroup v2",
    "rlimit": "processes: a limit per user, shared by all functions",
}


def banner(endpoint: str, data_dir: Path, probe: Sandbox, function: str | None, *, region: str = "us-east-1") -> str:
    """The text. `function` is one that can be invoked; None leaves out the lines that would invoke it."""
    lines = [f"Lambent serves Lambda's API at {endpoint}", ""]
    if function is not None:
        lines += ["Try it:", "", *_curl(endpoint, function), "", *_boto3(endpoint, region, function), ""]
        lines += [*_aws(endpoint, region, function), ""]
    lines += _isolation(probe)
    lines += [
        f"Data directory  {data_dir}",
        f"Other terminal  {_lambent(endpoint)} --help",
        "",
        "Ctrl-C stops everything; the data stays.",
    ]
    return "\n".join(lines) + "\n"


def _curl(endpoint: str, function: str) -> list[str]:
    return [f"  curl -sS {endpoint}/2015-03-31/functions/{function}/invocations -d '{_PAYLOAD}'"]


def _boto3(endpoint: str, region: str, function: str) -> list[str]:
    """One statement after another: pasted into a Python prompt each line works for itself."""
    return [
        "  import boto3",
        f'  client = boto3.client("lambda", endpoint_url="{endpoint}", region_name="{region}",'
        ' aws_access_key_id="any", aws_secret_access_key="any")',
        f'  print(client.invoke(FunctionName="{function}", Payload=\'{_PAYLOAD}\')["Payload"].read().decode())',
    ]


def _aws(endpoint: str, region: str, function: str) -> list[str]:
    """The payload comes from stdin: as an argument, versions 1 and 2 of the command take it in different forms."""
    return [
        f"  echo '{_PAYLOAD}' | AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws --endpoint-url {endpoint}"
        f" --region {region} lambda invoke --function-name {function} --payload fileb:///dev/stdin /dev/stdout"
    ]


def _isolation(probe: Sandbox) -> list[str]:
    """Plain words about what holds a function here, and what does not."""
    lines = [
        "Local mode is for code that you trust: functions run as processes of your own user, on your network.",
        f"  {_MOUNTS[probe.mount_namespace]}",
        f"  {_MEMORY[probe.memory]}",
        f"  {_PIDS[probe.pids]}",
    ]
    if probe.reasons:
        lines.append("  `lambent doctor` says why it is not better.")
    return [*lines, ""]


def _lambent(endpoint: str) -> str:
    """The command that talks to this platform: the endpoint is left out where it is the default."""
    return "lambent" if urlsplit(endpoint).netloc == "127.0.0.1:9000" else f"LAMBENT_ENDPOINT={endpoint} lambent"
