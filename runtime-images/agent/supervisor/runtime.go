package supervisor

import (
	"syscall"

	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
)

// runtime is a started process with the pipe it writes to and, if it speaks frames, its socket.
type runtime struct {
	process   *process.Process
	output    *output
	bootstrap *bootstrap
}

// startRuntime starts a command. `ended` is called once, when the process is over; what it had said has been received by then.
func (e *environment) startRuntime(argv, env []string, dir string, speaksFrames bool, ended func(*runtime)) (*runtime, error) {
	output, written, err := openOutput(e.agent.loop, e.agent.uplink, e.slot.Number, e.logFlags)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(written)
	r := &runtime{output: output}
	var inherited []int
	if speaksFrames {
		var theirs int
		if r.bootstrap, theirs, err = openBootstrap(e.agent.loop); err != nil {
			output.close()
			return nil, err
		}
		defer syscall.Close(theirs)
		inherited = append(inherited, theirs)
		r.bootstrap.receive = e.fromBootstrap
		r.bootstrap.closed = func() {
			if e.running == r { // a pre-started one that was put aside may close what it likes
				e.hangup.Set(loop.Now() + hangupNs)
			}
		}
	}
	r.process, err = process.Start(process.Command{Argv: argv, Env: env, Dir: dir, Output: written, Inherited: inherited})
	if err == nil {
		r.process.EndsFirst()
		r.process.LimitTasks()
		err = e.agent.loop.Add(r.process.Descriptor, loop.Readable, loop.HandlerFunc(func(uint32) { ended(r) }))
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runtime) close() {
	r.output.close()
	if r.bootstrap != nil {
		r.bootstrap.close()
	}
}
