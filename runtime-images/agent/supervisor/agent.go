// Package supervisor is the agent: one connection to the gateway, one slot, the runtime beside it.
//
// Everything happens on the loop's goroutine; only the unpacking of code and the look-up of names do not.
package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lambent.dev/agent/install"
	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
	"lambent.dev/agent/sandbox"
	"lambent.dev/agent/slot"
)

const protocolVersion = 1

// Agent is the one owner of the link, of the slots, and of the agents of further environments.
type Agent struct {
	settings     Settings
	version      string
	loop         *loop.Loop
	uplink       *Uplink
	environments map[uint16]*environment
	shutdown     *shutdown
	children     *children
	secret       string // what the gateway knows this agent by from its first welcome on
}

// Run is the agent's life. It returns when the agent has ended all it started.
func Run(settings Settings, version string) error {
	if err := sandbox.JoinCgroups(settings.Cgroups); err != nil {
		return err
	}
	if settings.Places == sandbox.Bound {
		if err := sandbox.CheckNamespace(); err != nil {
			return err
		}
		if settings.RuntimeFolder != "" {
			if err := sandbox.BindRuntime(settings.RuntimeFolder); err != nil {
				return err
			}
		}
	}
	process.Rename(install.Name) // a child was started by another name of the program
	process.BecomeSubreaper()
	process.LimitFiles()
	l, err := loop.New()
	if err != nil {
		return err
	}
	a := &Agent{settings: settings, version: version, loop: l, environments: map[uint16]*environment{}, secret: settings.Secret}
	a.uplink = newUplink(l, settings.Gateways, settings.PatienceNs)
	a.uplink.greet, a.uplink.welcomed, a.uplink.receive = a.greeting, a.welcomed, a.receive
	a.uplink.parted = func() { a.shutdown.idle() }
	a.uplink.abandoned = func() { a.shutdown.begin("spindown") }
	a.uplink.eased = a.eased
	a.shutdown = newShutdown(a)
	a.children = newChildren(a)
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
	token := a.settings.Token
	if a.settings.TokenFile != "" {
		text, err := os.ReadFile(a.settings.TokenFile)
		if err != nil {
			complain("the token can't be read: " + err.Error())
		}
		token = string(bytes.TrimSpace(text))
	}
	greeting := link.Greeting{
		Protocol: protocolVersion, Environment: a.settings.Environment, Token: token, Secret: a.secret,
		Runtime: a.settings.Runtime, PID: os.Getpid(), AgentVersion: a.version, Opens: a.settings.Code == "", Opened: a.children.told(),
	}
	for number, e := range a.environments {
		state := link.SlotState{Slot: int(number), State: e.slot.State().Name()}
		if revision := e.slot.Revision(); revision != "" {
			state.Revision = &revision
		}
		running := string(e.slot.Running())
		if running == "" && a.uplink.Holds(link.Report, number) {
			// To the gateway it is busy until it has been told how the last invocation ended.
			state.State, running = slot.Busy.Name(), string(e.slot.Last())
		}
		if running != "" {
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

func (a *Agent) welcomed(body []byte) {
	var welcome link.Welcoming
	if err := json.Unmarshal(body, &welcome); err == nil && welcome.Secret != "" {
		a.secret = welcome.Secret
	}
	if a.settings.Parent >= 0 {
		tellParent(a.settings.Parent)
		a.settings.Parent = noParent
	}
}

// receive takes a frame from the gateway. An error ends the connection.
func (a *Agent) receive(frame link.Frame) error {
	if frame.Type == link.Shutdown {
		var ending link.Ending
		_ = json.Unmarshal(frame.Body, &ending) // any reason will do
		a.shutdown.begin(ending.Reason)
		return nil
	}
	if frame.Type == link.Redirect {
		var redirection link.Redirection
		if err := json.Unmarshal(frame.Body, &redirection); err != nil {
			return err
		}
		to, err := parseAddress("REDIRECT", redirection.Gateway)
		if err != nil {
			return err
		}
		a.uplink.Redirect(to)
		return nil
	}
	if frame.Type == link.Open && a.settings.Code == "" {
		var asked link.Opening
		if err := json.Unmarshal(frame.Body, &asked); err != nil {
			return fmt.Errorf("OPEN can't be read: %w", err)
		}
		return a.children.open(asked)
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
					a.children.signal(syscall.SIGTERM)
					a.shutdown.whenIdle()
				default:
					a.children.signal(syscall.SIGINT)
					a.shutdown.begin("spindown")
				}
			})
		}
	}()
}

func (a *Agent) reapOrphans() {
	mine := a.children.agents()
	for _, e := range a.environments {
		e.addProcesses(mine)
	}
	process.ReapOrphans(mine)
}

// complain tells the operator, whose gateway keeps the agent's own stderr.
func complain(text string) {
	_, _ = os.Stderr.WriteString("lambent-agent: " + text + "\n")
}
