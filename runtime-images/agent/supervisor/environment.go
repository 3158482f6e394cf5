package supervisor

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/process"
	"lambent.dev/agent/runtimeapi"
	"lambent.dev/agent/sandbox"
	"lambent.dev/agent/slot"
)

const (
	bootstrapVariable = "LAMBENT_BOOTSTRAP_FD=3"
	wrapperVariable   = "AWS_LAMBDA_EXEC_WRAPPER"
	sampleNs          = 50e6
	hangupNs          = 1e9 // a process that ends closes its socket a little before
	commandNotFound   = 127
	customRuntime     = "/var/task/bootstrap" // of provided.al2023, say; in Lambda it may be in /opt too
)

// environment does what its slot decides: it owns the runtime's process, its channel and its output.
type environment struct {
	agent     *Agent
	slot      *slot.Slot
	wake      *loop.Timer
	watch     *loop.Timer
	hangup    *loop.Timer
	spec      *link.Specialization
	places    sandbox.Places
	loading   *preparation
	ready     *runtime // pre-started, waits to become the function's
	running   *runtime
	api       *runtimeapi.Server
	memoryMax uint64
	watchedAt int64
	sampledAt int64
	sample    []byte
}

func newEnvironment(a *Agent, number uint16) (*environment, error) {
	e := &environment{agent: a, sample: make([]byte, 2048)}
	e.slot = slot.New(number, e)
	e.wake = a.loop.NewTimer(func() { e.slot.TimePassed(loop.Now()) })
	e.watch = a.loop.NewTimer(e.watchMemory)
	e.hangup = a.loop.NewTimer(func() { e.slot.BrokeProtocol(loop.Now()) })
	var err error
	e.api, err = runtimeapi.Listen(a.loop, fromClient{e}, responseBytesMax, streamBytesMax)
	return e, err
}

// prestart starts the bootstrap of the pool before there is anything to run.
func (e *environment) prestart() {
	if len(e.agent.settings.Prestart) == 0 {
		return
	}
	env := append([]string{bootstrapVariable}, e.agent.settings.Inherited...)
	ready, err := e.startRuntime(e.agent.settings.Prestart, env, "/", true, e.prestartEnded)
	if err != nil {
		complain("the bootstrap could not be started: " + err.Error())
		return
	}
	e.ready = ready
}

func (e *environment) prestartEnded(r *runtime) {
	if e.running == r {
		e.ended(r)
		return
	}
	e.agent.loop.Remove(r.process.Descriptor)
	r.process.Reap()
	r.close()
	if e.ready == r {
		e.ready = nil
	}
}

// Start implements slot.Ports.
func (e *environment) Start() {
	began := loop.Now()
	adopted := false
	if r := e.ready; r != nil {
		e.ready = nil
		if servesFor(e.agent.settings, e.spec) && !bringsLibraries(e.places) {
			e.running, adopted = r, true
		} else {
			r.process.Kill()
		}
	}
	if e.running == nil {
		if e.spec.Runtime.Protocol == "api" {
			e.api.Begin()
		}
		if err := e.startAnew(); err != nil {
			e.api.End()
			e.slot.Unstartable(loop.Now(), unstartable(err))
			return
		}
	}
	e.slot.Spawned(loop.Now() - began)
	if e.running.bootstrap != nil {
		e.running.bootstrap.send(link.Append(nil, link.Init, 0, e.slot.Number, e.bootstrapInit(adopted)))
	}
	e.watchMemory()
}

func (e *environment) startAnew() error {
	directory, err := e.directory()
	if err != nil {
		return err
	}
	argv := make([]string, 0, len(e.spec.Runtime.Command)+1)
	wrapper := e.spec.Environment[wrapperVariable]
	if e.inImage() {
		wrapper = "" // the image's own entry point runs it
	}
	if wrapper != "" {
		argv = append(argv, e.places.Real(wrapper))
	}
	for _, word := range e.spec.Runtime.Command {
		argv = append(argv, e.places.Real(word))
	}
	if !e.inImage() && len(e.spec.Runtime.Command) > 0 && e.spec.Runtime.Command[0] == customRuntime {
		argv[len(argv)-len(e.spec.Runtime.Command)] = findCustomRuntime(e.places)
	}
	frames := e.spec.Runtime.Protocol == "frames"
	var env []string
	if frames {
		env = append(env, bootstrapVariable)
	}
	for name, value := range e.variables(directory) {
		env = append(env, name+"="+value)
	}
	e.running, err = e.startRuntime(argv, env, directory, frames, e.ended)
	if err != nil && wrapper != "" && errors.Is(err, fs.ErrNotExist) {
		err = missingWrapper{}
	}
	return err
}

// inImage says whether the code came as a container image, with all that it needs.
func (e *environment) inImage() bool { return e.agent.settings.Places == sandbox.Image }

// directory is where the runtime starts: that of the code, or of the image, which the agent was started in.
func (e *environment) directory() (string, error) {
	if !e.inImage() {
		return e.places.Task, nil
	}
	directory := e.spec.Runtime.WorkingDirectory
	if directory == "" {
		return os.Getwd()
	}
	if info, err := os.Stat(directory); err != nil || !info.IsDir() {
		return "", missingDirectory(directory)
	}
	return directory, nil
}

// missingDirectory is the working directory that the image does not have.
type missingDirectory string

func (m missingDirectory) Error() string { return "The working directory doesn't exist: " + string(m) }

// findCustomRuntime is the function's own bootstrap, or else that of a layer.
func findCustomRuntime(places sandbox.Places) string {
	own := filepath.Join(places.Task, "bootstrap")
	if _, err := os.Stat(own); err != nil {
		layers := filepath.Join(places.Opt, "bootstrap")
		if _, err := os.Stat(layers); err == nil {
			return layers
		}
	}
	return own
}

type missingWrapper struct{}

func (missingWrapper) Error() string { return process.ExitStatus(commandNotFound).String() }

// unstartable is the error that callers get: a wrapper is run by a shell in Lambda, which would exit with its own status.
func unstartable(err error) slot.Trouble {
	errorType := "Runtime.InvalidEntrypoint"
	var missing missingWrapper
	if errors.As(err, &missing) {
		errorType = "Runtime.ExitError"
	}
	var noDirectory missingDirectory
	if errors.As(err, &noDirectory) {
		errorType = "Runtime.InvalidWorkingDir"
	}
	return slot.Trouble{Type: errorType, Message: err.Error()}
}

// variables is the whole environment of a runtime that starts in this directory.
func (e *environment) variables(directory string) map[string]string {
	_, err := os.Stat(accountToken)
	variables := handedOn(e.agent.settings.Inherited, e.inImage(), err == nil)
	put(variables, e.spec.Environment)
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "PYTHONPATH"} {
		if value, found := variables[name]; found {
			variables[name] = e.places.Translate(value)
		}
	}
	variables["AWS_LAMBDA_RUNTIME_API"] = e.api.Address()
	variables["LAMBDA_TASK_ROOT"] = e.places.Task
	variables["LAMBDA_RUNTIME_DIR"] = e.places.Runtime
	variables["PWD"] = directory
	if !e.inImage() {
		variables["_HANDLER"] = e.spec.Handler
	}
	if e.places != sandbox.Lambda {
		variables["TMPDIR"] = e.places.Tmp
	}
	return variables
}

// bootstrapInit is the body of INIT. A process that was started for this function has its environment already, and perhaps a wrapper's
// changes to it.
func (e *environment) bootstrapInit(adopted bool) []byte {
	init := link.BootstrapInit{Handler: e.spec.Handler, TaskRoot: e.places.Task, OptRoot: e.places.Opt, Function: e.spec.Function}
	if adopted {
		init.Environment = e.variables(e.places.Task)
	}
	body, err := json.Marshal(init)
	if err != nil {
		panic(err) // strings and numbers
	}
	return body
}

// fromBootstrap takes a frame of a runtime that speaks frames.
func (e *environment) fromBootstrap(frame link.Frame) error {
	now := loop.Now()
	switch frame.Type {
	case link.Response:
		if len(frame.Body) > responseBytesMax {
			e.answerTooLarge()
		} else {
			e.slot.Answer(frame.Raw, link.Success, "")
		}
		e.slot.Free(now)
	case link.Error:
		errorType, object, err := link.ParseError(frame.Body)
		if err != nil {
			return err
		}
		if e.slot.MayAnswer() {
			e.slot.Answer(frame.Raw, link.Failed, string(errorType))
			e.slot.Free(now)
		} else {
			e.slot.InitFailed(now, slot.Failure{Type: string(errorType), Object: append([]byte(nil), object...)})
		}
	case link.Init:
		e.slot.Ready(now)
	default:
		return errors.New("a frame that is not a runtime's")
	}
	e.agent.shutdown.idle()
	return nil
}

// Deliver implements slot.Ports.
func (e *environment) Deliver(invoke link.Frame) {
	if e.running.bootstrap != nil {
		e.running.bootstrap.send(invoke.Raw)
	} else {
		e.api.Deliver(invoke)
	}
	if e.spec.MemoryLimitBytes > 0 {
		if next := e.watchedAt + sampleNs; next > loop.Now() {
			e.watch.Set(next)
		} else {
			e.watchMemory()
		}
	}
}

// ended comes when the runtime's process is over.
func (e *environment) ended(r *runtime) {
	e.agent.loop.Remove(r.process.Descriptor)
	if r.bootstrap != nil {
		r.bootstrap.finish()
	}
	exit := r.process.Reap()
	e.hangup.Set(0)
	e.memoryMax = max(e.memoryMax, exit.MemoryMax)
	process.KillDescendants(e.agent.children.agents())
	r.output.flush(e.logFlags())
	e.running = nil
	r.close()
	e.api.End()
	e.slot.Exited(loop.Now(), exit.String())
	e.agent.shutdown.idle()
}

// Kill implements slot.Ports.
func (e *environment) Kill() {
	if e.running != nil {
		e.running.process.Kill()
	}
}

// Wake implements slot.Ports.
func (e *environment) Wake(at int64) { e.wake.Set(at) }

// FlushLog implements slot.Ports.
func (e *environment) FlushLog(outside bool) {
	if e.running == nil {
		return
	}
	var flags uint8
	if outside {
		flags = link.LogOutside
	}
	e.running.output.catchUp(flags)
}

// Send implements slot.Ports.
func (e *environment) Send(frame []byte) { e.agent.uplink.Send(frame) }

// Initialized implements slot.Ports.
func (e *environment) Initialized(init link.Initialization) {
	body, err := json.Marshal(init)
	if err != nil {
		panic(err) // strings and numbers
	}
	e.Send(link.Append(nil, link.Init, 0, e.slot.Number, body))
}

// MemoryMax implements slot.Ports. Looked up again only when the last look is old: reading /proc is dear.
func (e *environment) MemoryMax() uint64 {
	if now := loop.Now(); e.running != nil && (e.sampledAt == 0 || now-e.sampledAt > sampleNs) {
		e.sampledAt = now
		e.memoryMax = max(e.memoryMax, e.running.process.MemoryMax(e.sample))
	}
	return e.memoryMax
}

// watchMemory holds the memory limit where no cgroup does, while the runtime works. Looking is dear: once in a while will do, however many
// invocations come.
func (e *environment) watchMemory() {
	state := e.slot.State()
	if e.spec == nil || e.spec.MemoryLimitBytes <= 0 || e.running == nil || state == slot.Idle {
		return
	}
	e.watchedAt = loop.Now()
	if used := process.Resident(process.Descendants(e.agent.children.agents())); used > e.spec.MemoryLimitBytes {
		e.memoryMax = max(e.memoryMax, uint64(used))
		e.slot.OverMemory(loop.Now())
		return
	}
	e.watch.Set(e.watchedAt + sampleNs)
}

func (e *environment) logFlags() uint8 {
	if len(e.slot.Running()) == 0 {
		return link.LogOutside
	}
	return 0
}

func (e *environment) eased() {
	for _, r := range []*runtime{e.ready, e.running} {
		if r != nil {
			r.output.pause(false)
		}
	}
	e.api.Resume()
}

func (e *environment) signal(signal syscall.Signal) {
	if e.running != nil {
		e.running.process.Signal(signal)
	}
}

// close gives back what the environment held, for an agent that goes on without it. Its processes have been killed.
func (e *environment) close() {
	for _, timer := range []*loop.Timer{e.wake, e.watch, e.hangup} {
		timer.Set(0)
	}
	for _, r := range []*runtime{e.ready, e.running} {
		if r != nil {
			e.agent.loop.Remove(r.process.Descriptor)
			r.process.Reap()
			r.close()
		}
	}
	e.ready, e.running = nil, nil
	e.api.Close()
}

func (e *environment) addProcesses(to map[int]bool) {
	for _, r := range []*runtime{e.ready, e.running} {
		if r != nil {
			to[r.process.PID] = true
		}
	}
}

// servesFor says whether the pre-started bootstrap can become the function's runtime: the same command, and every variable that is
// told and that a process reads only when it starts has the value that it was started with. The others it has anyway.
func servesFor(settings Settings, spec *link.Specialization) bool {
	if spec.Runtime.Protocol != "frames" || strings.Join(spec.Runtime.Command, "\x00") != strings.Join(settings.Prestart, "\x00") {
		return false
	}
	for name, value := range spec.Environment {
		if readAtStart(name) && !slices.Contains(settings.Inherited, name+"="+value) {
			return false
		}
	}
	return true
}

// bringsLibraries says whether the function or its layers have shared libraries in a folder that the loader searches: one that was
// not there when a process started is not looked at again.
func bringsLibraries(places sandbox.Places) bool {
	for _, folder := range []string{places.Task, places.Opt} {
		entries, _ := os.ReadDir(filepath.Join(folder, "lib"))
		for _, entry := range entries {
			if strings.Contains(entry.Name(), ".so") {
				return true
			}
		}
	}
	return false
}

func readAtStart(name string) bool {
	switch name {
	case wrapperVariable, "NODE_OPTIONS", "GLIBC_TUNABLES", "SSLKEYLOGFILE", "OPENSSL_CONF":
		return true
	}
	for _, prefix := range []string{"PYTHON", "LD_", "MALLOC_", "GCONV_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
