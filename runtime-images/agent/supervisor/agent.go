// Package supervisor is the agent: one connection to the gateway, one slot, the runtime beside it.
//
// Everything happens on the loop's goroutine; only the unpacking of code and the look-up of names do not.
package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
	"lambent.dev/agent/sandbox"
)

const protocolVersion = 1

// Agent is the one owner of the link and of the slots.
type Agent struct {
	settings     Settings
	version      string
	loop         *loop.Loop
	uplink       *Uplink
	environments map[uint16]*environment
	shutdown     *shutdown
}

// Run is the agent's life. It returns when the agent has ended all it started.
func Run(settings Settings, version string) error {
	if err := sandbox.JoinCgroups(settings.Cgroups); err != nil {
		return err
	}
	if settings.Mounts {
		if err := sandbox.CheckNamespace(); err != nil {
			return err
		}
		if settings.RuntimeFolder != "" {
			if err := sandbox.BindRuntime(settings.RuntimeFolder); err != nil {
				return err
			}
		}
	}
	process.BecomeSubreaper()
	process.LimitFiles()
	l, err := loop.New()
	if err != nil {
		return err
	}
	a := &Agent{settings: settings, version: version, loop: l, environments: map[uint16]*environment{}}
	a.uplink = newUplink(l, settings.Gateway, settings.PatienceNs)
	a.uplink.greet, a.uplink.receive = a.greeting, a.receive
	a.uplink.abandoned = func() { a.shutdown.begin("spindown") }
	a.uplink.eased = a.eased
	a.shutdown = newShutdown(a)
	first, err := newEnvironment(a, 0)
	if err != nil {
		return err
	}
	a.environments[0] = first
	first.prestart()
	a.watchSignals()
	a.uplink.Open()
	return l.Run()
}

func (a *Agent) greeting() []byte {
	greeting := link.Greeting{
		Protocol: protocolVersion, Environment: a.settings.Environment, Token: a.settings.Token,
		Runtime: a.settings.Runtime, PID: os.Getpid(), AgentVersion: a.version,
	}
	for number, e := range a.environments {
		state := link.SlotState{Slot: int(number), State: e.slot.State().Name()}
		if revision := e.slot.Revision(); revision != "" {
			state.Revision = &revision
		}
		if running := string(e.slot.Running()); running != "" {
			state.RequestID = &running
		}
		greeting.Slots = append(greeting.Slots, state)
	}
	body, err := json.Marshal(greeting)
	if err != nil {
		panic(err) // strings and numbers
	}
	return link.Append(nil, link.Hello, 0, 0, body)
}

// receive takes a frame from the gateway. An error ends the connection.
func (a *Agent) receive(frame link.Frame) error {
	if frame.Type == link.Shutdown {
		var ending link.Ending
		_ = json.Unmarshal(frame.Body, &ending) // any reason will do
		a.shutdown.begin(ending.Reason)
		return nil
	}
	e := a.environments[frame.Slot]
	if e == nil {
		return fmt.Errorf("slot %d does not exist", frame.Slot)
	}
	switch frame.Type {
	case link.Invoke:
		return e.slot.Invoke(loop.Now(), frame)
	case link.Specialize:
		spec := new(link.Specialization)
		if err := json.Unmarshal(frame.Body, spec); err != nil {
			return fmt.Errorf("SPECIALIZE can't be read: %w", err)
		}
		return e.slot.Specialize(spec)
	case link.Blob:
		return e.blob(frame)
	default:
		return fmt.Errorf("a frame of type %d is not for agents", frame.Type)
	}
}

func (a *Agent) eased() {
	for _, e := range a.environments {
		e.eased()
	}
}

// watchSignals brings signals onto the loop: a first SIGTERM lets the invocation in flight end, anything more does not.
func (a *Agent) watchSignals() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	go func() {
		for received := range signals {
			a.loop.Post(func() {
				switch received {
				case syscall.SIGCHLD:
					a.reapOrphans()
				case syscall.SIGTERM:
					a.shutdown.whenIdle()
				default:
					a.shutdown.begin("spindown")
				}
			})
		}
	}()
}

func (a *Agent) reapOrphans() {
	mine := map[int]bool{}
	for _, e := range a.environments {
		e.addProcesses(mine)
	}
	process.ReapOrphans(mine)
}

// complain tells the operator, whose gateway keeps the agent's own stderr.
func complain(text string) {
	_, _ = os.Stderr.WriteString("lambent-agent: " + text + "\n")
}
