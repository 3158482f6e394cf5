package supervisor

import (
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
)

// grace is what a runtime is given to end by itself ("Understanding the Lambda execution environment lifecycle", shutdown phase).
type grace struct {
	runtimeNs int64 // from SIGTERM to SIGKILL of the runtime
	totalNs   int64 // until everything is killed
}

// graces by what is registered beside the runtime.
var graces = map[string]grace{
	"none":     {0, 0},
	"internal": {500e6, 500e6},
	"external": {300e6, 2000e6},
}

// shutdown ends the agent in order: its own environment first, and then, when those of its children have ended by themselves, itself.
type shutdown struct {
	agent *Agent
	phase *loop.Timer
	begun bool
	asked bool
	over  bool // its own environment has ended
}

func newShutdown(a *Agent) *shutdown {
	s := &shutdown{agent: a}
	s.phase = a.loop.NewTimer(s.kill)
	return s
}

// whenIdle begins once no invocation is in flight; asked twice, at once. A gateway is asked to send no more, and to say when
// it is time: what it sent meanwhile would be lost.
func (s *shutdown) whenIdle() {
	if s.asked {
		s.begin("spindown")
		return
	}
	s.asked = true
	s.agent.children.settle(leaving)
	s.agent.uplink.Append(link.Shutdown, 0, []byte(`{"reason":"leaving"}`))
	s.idle()
}

// idle says that an invocation may have ended.
func (s *shutdown) idle() {
	if !s.asked || s.agent.uplink.Joined() {
		return
	}
	for _, e := range s.agent.environments {
		if len(e.slot.Running()) > 0 {
			return
		}
	}
	s.begin("spindown")
}

// begin asks runtimes to end, as long as there is a grace for that. The reason is for extensions.
func (s *shutdown) begin(reason string) {
	if s.begun {
		return
	}
	s.begun = true
	s.agent.children.settle(leaving)
	granted := graces["none"]
	if granted.runtimeNs == 0 {
		s.kill()
		return
	}
	for _, e := range s.agent.environments {
		e.signal(syscall.SIGTERM)
	}
	s.phase.Set(loop.Now() + granted.runtimeNs)
}

func (s *shutdown) kill() {
	a := s.agent
	process.KillDescendants(a.children.agents())
	a.uplink.Close()
	s.over = true
	if s.last() {
		return
	}
	for number, e := range a.environments {
		e.close()
		delete(a.environments, number)
	}
}

// last ends the agent if there is no environment left that it is needed for.
func (s *shutdown) last() bool {
	if !s.over || len(s.agent.children.running) > 0 {
		return false
	}
	s.agent.loop.Stop()
	return true
}
