// Package process starts a runtime, tells how it ended in Lambda's words, measures it, and ends all that it started.
package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Command is what to run. Output becomes stdout and stderr, the Inherited are descriptors 3 and up.
type Command struct {
	// Program is the file to run; empty: what a shell would find by the first word.
	Program   string
	Argv      []string
	Env       []string
	Dir       string
	Output    int
	Inherited []int
}

// Process is a started runtime: leader of its own process group.
type Process struct {
	PID int
	// Descriptor becomes readable when the process has ended.
	Descriptor int
	status     int
}

const (
	oomScore  = "1000"
	tasksMax  = 1024
	noProcess = -1
)

// Start runs a command. Its end is told by Descriptor, then Reap.
func Start(c Command) (*Process, error) {
	path, err := c.Program, error(nil)
	if path == "" {
		path, err = find(c.Argv[0], c.Env)
	}
	if err != nil {
		return nil, err
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(null)
	files := []uintptr{uintptr(null), uintptr(c.Output), uintptr(c.Output)}
	for _, file := range c.Inherited {
		files = append(files, uintptr(file))
	}
	descriptor, pid := -1, 0
	onThreadThatStays(func() {
		pid, err = syscall.ForkExec(path, c.Argv, &syscall.ProcAttr{
			Dir:   c.Dir,
			Env:   c.Env,
			Files: files,
			Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &descriptor},
		})
	})
	if err != nil {
		return nil, &os.PathError{Op: "fork/exec", Path: c.Argv[0], Err: err}
	}
	process := &Process{PID: pid, Descriptor: descriptor, status: noProcess}
	if descriptor < 0 {
		process.Kill()
		return nil, fmt.Errorf("this kernel has no process descriptors (pidfd, Linux 5.3)")
	}
	process.status, err = syscall.Open(process.file("status"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		process.status = noProcess
	}
	return process, nil
}

// EndsFirst has the kernel pick this process when memory runs out, and not the agent beside it.
func (p *Process) EndsFirst() { _ = os.WriteFile(p.file("oom_score_adj"), []byte(oomScore), 0) }

// Kill ends the whole process group at once.
func (p *Process) Kill() { _ = syscall.Kill(-p.PID, syscall.SIGKILL) }

// Signal tells the runtime alone.
func (p *Process) Signal(signal syscall.Signal) { _ = syscall.Kill(p.PID, signal) }

// Reap takes the exit status of a process whose Descriptor is readable and gives its descriptors back.
func (p *Process) Reap() Exit {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		_, err := syscall.Wait4(p.PID, &status, 0, &usage)
		if err != syscall.EINTR {
			break
		}
	}
	syscall.Close(p.Descriptor)
	if p.status != noProcess {
		syscall.Close(p.status)
	}
	return Exit{status, uint64(usage.Maxrss) * 1024}
}

func (p *Process) file(name string) string {
	return "/proc/" + strconv.Itoa(p.PID) + "/" + name
}

// Exit is how a process ended.
type Exit struct {
	status syscall.WaitStatus
	// MemoryMax is the high-water mark of its resident memory, bytes.
	MemoryMax uint64
}

// ExitStatus is an Exit as of a process that ended with this status.
func ExitStatus(code int) Exit { return Exit{status: syscall.WaitStatus(code << 8)} }

// String is the exit in the words of Lambda's Runtime.ExitError.
func (e Exit) String() string {
	if reason := e.Reason(); reason != "" {
		return "Runtime exited with error: " + reason
	}
	return "Runtime exited without providing a reason"
}

// Reason is the signal or the status that the process ended with; empty if it ended well.
func (e Exit) Reason() string {
	switch {
	case e.status.Signaled():
		return "signal: " + e.status.Signal().String()
	case e.status.ExitStatus() != 0:
		return "exit status " + strconv.Itoa(e.status.ExitStatus())
	default:
		return ""
	}
}

// find looks a command up as a shell would, by the PATH that it will be given.
func find(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, variable := range env {
		path, found := strings.CutPrefix(variable, "PATH=")
		if !found {
			continue
		}
		for _, folder := range strings.Split(path, ":") {
			file := folder + "/" + name
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return file, nil
			}
		}
	}
	return "", &os.PathError{Op: "fork/exec", Path: name, Err: syscall.ENOENT}
}
