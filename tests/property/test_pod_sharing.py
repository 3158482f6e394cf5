"""E1 to E7 of pod sharing, whatever comes, goes and fails in whatever order, and however often the gateway is another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lambent_core.pod_sharing import OPEN_SECONDS_MAX, Opened, PodSharing, pod_of
from lambent_core.runtime_pool import AgentId

PODS = st.sampled_from([AgentId(pod) for pod in ("a", "b", "c")])


@dataclass
class Pod:
    """What is truly in it."""

    revision: str
    first: bool = True
    """The first agent's connection can be."""
    here: bool = False
    ending: bool = False
    has_code: bool = False
    alive: dict[AgentId, bool] = field(default_factory=dict)
    """Agents that were opened and have a process, with whether they are connected."""
    last: int = 0
    most: int = 1


class Sharing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.sharing = PodSharing()
        self.now = 0.0
        self.pods: dict[AgentId, Pod] = {}
        self.used: set[AgentId] = set()
        self.due: dict[AgentId, float] = {}
        """Agents that are expected, with when they should be here at last."""
        self.told_most: dict[AgentId, int] = {}

    @rule(pod=PODS, revision=st.sampled_from(["u/1", "u/2"]), has_code=st.booleans())
    def join(self, pod: AgentId, revision: str, has_code: bool) -> None:
        """A pod that is claimed, or whose first agent comes back."""
        found = self.pods.setdefault(pod, Pod(revision))
        if not found.first or found.here:
            return
        found.here, found.ending, found.has_code = True, False, found.has_code or has_code
        opened = Opened(found.last, found.most, list(found.alive)) if found.last else None
        self.sharing.joined(pod, found.revision, opened, has_code=found.has_code)

    @rule(revision=st.sampled_from(["u/1", "u/2"]), per_pod=st.integers(2, 4))
    def open(self, revision: str, per_pod: int) -> None:
        roomy = {
            id: 1 + len(pod.alive)
            for id, pod in self.pods.items()
            if pod.here and not pod.ending and pod.revision == revision and 1 + len(pod.alive) < per_pod
        }
        agent = self.sharing.open(revision, per_pod, now=self.now)
        if agent is None:
            assert not roomy, "one had room"
            return
        pod = self.pods[pod_of(agent)]
        assert pod_of(agent) in roomy, "E1 or E3"
        assert roomy[pod_of(agent)] == min(roomy.values()), "E4"
        assert agent not in self.used, "E2"
        self.used.add(agent)
        pod.alive[agent], pod.last = False, pod.last + 1
        pod.most = max(pod.most, 1 + len(pod.alive))
        self.due[agent] = self.now + OPEN_SECONDS_MAX if pod.has_code else inf

    @rule(data=st.data())
    def connect(self, data: st.DataObject) -> None:
        agent = self.one(data, connected=False)
        if agent is not None:
            self.pods[pod_of(agent)].alive[agent] = True
            self.due.pop(agent, None)
            self.sharing.connected(agent)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """One that is connected ends."""
        agent = self.one(data, connected=True)
        if agent is not None:
            del self.pods[pod_of(agent)].alive[agent]
            assert self.sharing.gone(agent) == []

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """One that is expected can't be had, as the first agent of its pod tells."""
        agent = self.one(data, connected=False)
        if agent is not None and self.pods[pod_of(agent)].here:
            del self.pods[pod_of(agent)].alive[agent]
            self.due.pop(agent, None)
            assert self.sharing.gone(agent) == []

    @rule(pod=PODS)
    def code(self, pod: AgentId) -> None:
        found = self.pods.get(pod)
        if found is not None and found.here:
            found.has_code = True
            for agent in self.due:
                if pod_of(agent) == pod:
                    self.due[agent] = min(self.due[agent], self.now + OPEN_SECONDS_MAX)
            self.sharing.code_is_there(pod, now=self.now)

    @rule(pod=PODS)
    def shut_down(self, pod: AgentId) -> None:
        if pod in self.pods:
            self.pods[pod].ending = True
        self.sharing.ending(pod)

    @rule(pod=PODS, for_good=st.booleans())
    def lose_first(self, pod: AgentId, for_good: bool) -> None:
        found = self.pods.get(pod)
        if found is None or not found.here:
            return
        found.here, found.first = False, not (for_good or found.ending)
        lost = self.sharing.gone(pod)
        assert set(lost) == {agent for agent in self.due if pod_of(agent) == pod}
        for agent in lost:
            del self.due[agent], found.alive[agent]  # it is not let in
        if not found.first and not found.alive:
            del self.pods[pod]
            self.told_most.pop(pod, None)
            self.used = {agent for agent in self.used if pod_of(agent) != pod}  # whoever has its name is another pod

    @rule()
    def restart(self) -> None:
        """Another gateway, which knows nothing."""
        self.sharing = PodSharing()
        self.told_most.clear()
        for pod in self.pods.values():
            pod.here = False
            pod.alive = {agent: False for agent in pod.alive if agent not in self.due}
        self.due.clear()

    @rule(seconds=st.floats(0.1, 8))
    def wait(self, seconds: float) -> None:
        due = min(self.due.values(), default=inf)
        assert self.sharing.next_look() == (None if due == inf else due), "E5"
        self.now += seconds
        overdue = self.sharing.overdue(now=self.now)
        assert set(overdue) == {agent for agent, at in self.due.items() if at <= self.now}, "E5"
        for agent in overdue:
            del self.due[agent], self.pods[pod_of(agent)].alive[agent]
            assert self.sharing.gone(agent) == []

    @invariant()
    def the_most_never_grows_less(self) -> None:
        for id, pod in self.pods.items():
            most = self.sharing.most(id)
            if most is not None:
                assert self.told_most.get(id, 1) <= most == pod.most, "E6"
                self.told_most[id] = most

    @invariant()
    def who_is_here_is_known(self) -> None:
        for id, pod in self.pods.items():
            here = {agent for agent, connected in pod.alive.items() if connected}
            assert self.sharing.in_pod(id) == [id, *sorted(here)], "E7"
            assert (id in self.sharing.pods) == (pod.here or bool(here)), "E7"
        assert self.sharing.pods.keys() <= self.pods.keys(), "nothing is kept for ever"

    def one(self, data: st.DataObject, *, connected: bool) -> AgentId | None:
        agents = sorted(
            agent for pod in self.pods.values() for agent, is_here in pod.alive.items() if is_here == connected
        )
        return data.draw(st.sampled_from(agents)) if agents else None


TestSharing = Sharing.TestCase
