"""docs/install.md from top to bottom on a real cluster, line by line as a newcomer pastes them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chart.rendering import ROOT, program
from tests.cluster.chart_release import SETTINGS, Release, kubeconfig, namespaces
from tests.ports import free_port

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(600),
]
PAGE = (ROOT / "docs" / "install.md").read_text()
IDLE_SECONDS = 5
SECONDS_MAX = 120


def lines(start: str) -> list[str]:
    """Commands that begin so; those that go on over several lines as one."""
    joined = re.sub(r"\\\n\s*", "", PAGE)
    return [line.strip() for line in joined.splitlines() if line.startswith(f"    {start}")]


def fenced(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


@dataclass(frozen=True)
class Newcomer:
    """Has a folder, a kubeconfig whose namespace is that of the functions, and the page."""

    release: Release
    folder: Path
    port: int

    def type(self, command: str, *, more: str = "") -> str:
        done = subprocess.run(
            self._here(command) + more,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, command: str, *, until: str) -> Iterator[None]:
        process = subprocess.Popen(
            self._here(command),
            shell=True,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            assert until in process.stdout.readline()
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()

    def _here(self, command: str) -> str:
        words = command.replace("lambent-system", self.release.system).replace("9000:9000", f"{self.port}:9000")
        return words.replace("http://127.0.0.1:9000", f"http://127.0.0.1:{self.port}")

    @property
    def _environment(self) -> dict[str, str]:
        path = f"{self.folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig"), "PATH": path}


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    config = kubeconfig()
    assert config is not None
    with namespaces(config) as release:
        (tmp_path / "kubeconfig").write_text(
            release.run("kubectl", "config", "view", "--flatten", "--minify", "--raw").stdout
        )
        for name in ("helm", "kubectl"):
            (tmp_path / name).symlink_to(program(name))
        (tmp_path / "charts").symlink_to(ROOT / "charts")
        made = Newcomer(release, tmp_path, free_port())
        made.type(f"kubectl config set-context --current --namespace={release.functions}")
        yield made


def wait_for(what: str, look: Callable[[], object]) -> None:
    ends = time.monotonic() + SECONDS_MAX
    while not look():
        assert time.monotonic() < ends, what
        time.sleep(0.2)


def test_from_an_empty_cluster_to_zero_and_away(newcomer: Newcomer) -> None:
    def ready() -> str:
        return newcomer.type("kubectl get fn greeter -o jsonpath='{.status.environments.ready}'") or "0"

    def pods() -> str:
        return newcomer.type("kubectl get pods -l lambent.dev/function=greeter -o name")

    (install,), (check,), (upgrade,), (uninstall,) = (
        lines(f"helm {verb}") for verb in ("install", "test", "upgrade", "uninstall")
    )
    ours = f" --set functions.namespace={newcomer.release.functions},scaling.idleSeconds={IDLE_SECONDS},{SETTINGS}"
    newcomer.type(re.sub(r"--set \S+", "", install), more=ours)
    newcomer.type(check)

    (newcomer.folder / "greeter.yaml").write_text(fenced("yaml"))
    for command in (*lines("kubectl apply -f greeter"), *lines("kubectl wait"), "kubectl get fn"):
        assert "greeter" in newcomer.type(command)

    with newcomer.running(lines("kubectl port-forward")[0], until="Forwarding from"):
        assert newcomer.type(lines("curl")[0]) == '{"greeting": "Hello, you!"}'
        (newcomer.folder / "call.py").write_text(newcomer._here(fenced("python")))
        assert "Hello, you!" in newcomer.type("python call.py")
        assert "greeting you" in newcomer.type(f"lambent logs greeter --endpoint http://127.0.0.1:{newcomer.port}")
    wait_for("the function never had an environment", pods)

    wait_for("the function does not go to zero", lambda: ready() == "0" and not pods())
    newcomer.type(lines("kubectl scale")[0])
    wait_for("no three environments were made ready", lambda: ready() == "3")
    assert "Ready" in newcomer.type("kubectl describe fn greeter")

    for command in (*lines("kubectl apply --server-side"), upgrade):
        newcomer.type(command)
    newcomer.type(check)
    logged = newcomer.type("kubectl logs -n lambent-system -l app.kubernetes.io/part-of=lambent --tail=-1")
    assert "acting" in logged and "serving" in logged, "both have said something"
    assert "forbidden" not in logged.lower(), "the roles are enough"
    newcomer.type(uninstall)
    assert newcomer.release.objects(newcomer.release.functions) == {"function.lambent.dev/greeter"}
    volumes = {f"persistentvolumeclaim/data-lambent-gateway-{number}" for number in range(2)}
    assert newcomer.release.objects(newcomer.release.system) == volumes
    newcomer.type(lines("kubectl delete pvc")[0])
    newcomer.type("kubectl delete fn greeter --timeout=30s")
