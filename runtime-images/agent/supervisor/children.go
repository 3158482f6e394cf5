package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lambent.dev/agent/install"
	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
	"lambent.dev/agent/sandbox"
)

const (
	ownProgram = "/proc/self/exe"
	leaving    = "the agent is leaving"
	roomNs     = 20e6 // from one look for room to the next: a pod is resized within a second
)

// children are the agents of further environments in this pod: processes of their own, each with a link of its own.
type children struct {
	agent   *Agent
	settled bool           // whether they can be started is known
	refusal string         // why they can't
	waiting []*child       // until it is known
	running map[int]*child // by process id
	last    uint64         // the highest number
	most    int            // environments at once
	look    *loop.Timer    // for room
}

type child struct {
	link.Opening
	number  uint64 // in its id, and the mark of all that it starts
	process *process.Process
	socket  int
	tmp     string
}

func newChildren(a *Agent) *children {
	c := &children{agent: a, running: map[int]*child{}}
	c.look = a.loop.NewTimer(c.proceed)
	return c
}

// open takes an OPEN of the gateway. An error ends the connection.
func (c *children) open(asked link.Opening) error {
	after, _ := strings.CutPrefix(asked.Environment, c.agent.settings.Environment+"/")
	number, err := strconv.ParseUint(after, 10, 64)
	if err != nil || number == 0 {
		return fmt.Errorf("OPEN of %q, not %s/ and a number from 1 on", asked.Environment, c.agent.settings.Environment)
	}
	c.last = max(c.last, number)
	c.waiting = append(c.waiting, &child{Opening: asked, number: number})
	if c.refusal == "" {
		c.most = max(c.most, 1+len(c.waiting)+len(c.running))
	}
	if c.settled {
		c.proceed()
	}
	return nil
}

// settle says that the code is in place, or why no further environment will be opened. What stood in the way once stays there.
func (c *children) settle(refusal string) {
	c.settled = true
	if c.refusal == "" {
		c.refusal = refusal
	}
	c.proceed()
}

// proceed starts what waits, as soon as there is room for it, or says why it can't.
func (c *children) proceed() {
	for len(c.waiting) > 0 {
		if c.refusal == "" && !c.hasRoom() {
			c.look.Set(loop.Now() + roomNs)
			return
		}
		e := c.waiting[0]
		c.waiting = c.waiting[1:]
		if c.refusal != "" {
			c.fail(e, c.refusal)
		} else if err := c.start(e); err != nil {
			c.fail(e, "it could not be started: "+err.Error())
		}
	}
}

// hasRoom says whether what holds the memory of all has been made large enough for one more. Before, the kernel might end them all.
func (c *children) hasRoom() bool {
	limit := sandbox.MemoryLimit(c.agent.settings.Cgroups)
	needed := int64(2+len(c.running)) * c.agent.environments[0].spec.Function.MemoryMb << 20
	return limit == 0 || limit >= needed
}

func (c *children) start(e *child) error {
	var err error
	if e.tmp, err = os.MkdirTemp(c.agent.environments[0].places.Tmp, "environment-"); err != nil {
		return err
	}
	if err = c.spawn(e); err != nil {
		os.Remove(e.tmp)
		return err
	}
	c.running[e.process.PID] = e
	return nil
}

func (c *children) spawn(e *child) error {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(ends[1])
	e.socket = ends[0]
	_ = syscall.SetNonblock(e.socket, true)
	variables, descriptors := c.agent.handDown(e)
	e.process, err = process.Start(process.Command{
		Program:   ownProgram,
		Argv:      []string{install.Name, e.Environment},
		Env:       append([]string{parentVariable}, c.agent.settings.Inherited...),
		Output:    syscall.Stderr,
		Inherited: append([]int{ends[1]}, descriptors...),
	})
	if err != nil {
		syscall.Close(e.socket)
		return err
	}
	e.process.Mark(e.number) // before it is told what it is, and so before it starts anything
	_, err = syscall.Write(e.socket, []byte(strings.Join(variables, "\x00")))
	if err == nil {
		err = c.agent.loop.Add(e.process.Descriptor, loop.Readable, loop.HandlerFunc(func(uint32) { c.ended(e) }))
	}
	if err != nil {
		e.process.Kill()
		e.process.Reap()
		syscall.Close(e.socket)
	}
	return err
}

// ended comes when a child's process is over. What it started and left behind is ended with it.
func (c *children) ended(e *child) {
	c.agent.loop.Remove(e.process.Descriptor)
	exit := e.process.Reap()
	delete(c.running, e.process.PID)
	process.KillMarked(e.number, c.agents())
	var one [1]byte
	if n, err := syscall.Read(e.socket, one[:]); err != nil || n == 0 {
		why := "its process ended before it was welcomed"
		if reason := exit.Reason(); reason != "" {
			why += ": " + reason
		}
		c.fail(e, why)
	}
	syscall.Close(e.socket)
	c.agent.loop.Beside(func() { os.RemoveAll(e.tmp) }, func() {})
	c.agent.shutdown.last()
}

func (c *children) fail(e *child, why string) {
	complain("environment " + e.Environment + ": " + why)
	body, err := json.Marshal(link.Opening{Environment: e.Environment, Error: why})
	if err != nil {
		panic(err) // strings
	}
	c.agent.uplink.Append(link.Open, 0, body)
}

// told is what HELLO says of them; nil if none was ever asked for.
func (c *children) told() *link.Opened {
	if c.last == 0 {
		return nil
	}
	alive := make([]string, 0, len(c.waiting)+len(c.running))
	for _, e := range c.waiting {
		alive = append(alive, e.Environment)
	}
	for _, e := range c.running {
		alive = append(alive, e.Environment)
	}
	slices.Sort(alive)
	return &link.Opened{Last: c.last, Most: c.most, Alive: alive}
}

// signal passes a signal on to all of them.
func (c *children) signal(signal syscall.Signal) {
	for _, e := range c.running {
		e.process.Signal(signal)
	}
}

// agents are their process ids. What is below them is theirs.
func (c *children) agents() map[int]bool {
	pids := make(map[int]bool, len(c.running))
	for pid := range c.running {
		pids[pid] = true
	}
	return pids
}
