package supervisor

import (
	"errors"
	"strings"
	"syscall"

	"lambent.dev/agent/sandbox"
)

// What agents of one pod tell each other. A child gets its settings over a socket, once its memory is hidden: in its environment the
// function's code could read them. The child's only word back is one byte, when a gateway has welcomed it.

const (
	parentVariable   = "LAMBENT_PARENT_FD=3"
	parentDescriptor = 3
	noParent         = -1
	toldBytesMax     = 64 << 10
)

// handDown is what a child is told, and the descriptors that it needs beside the socket, from parentDescriptor+1 on. What comes later
// stands.
func (a *Agent) handDown(e *child) (variables []string, descriptors []int) {
	variables = append(variables, a.settings.Own...)
	names := []string{"LAMBENT_GATEWAY", "LAMBENT_GATEWAY_FALLBACK"}
	for i, gateway := range a.uplink.Belongs() {
		variables = append(variables, names[i]+"="+gateway.text(parentDescriptor+1+len(descriptors)))
		if gateway.unix != "" {
			descriptors = append(descriptors, gateway.folder)
		}
	}
	if a.settings.Places == sandbox.Bound {
		variables = append(variables, "LAMBENT_PLACES=mounted") // by now
	}
	return append(variables,
		"LAMBENT_ENVIRONMENT="+e.Environment, "LAMBENT_SECRET="+e.Secret, "LAMBENT_ROOT="+e.tmp, "LAMBENT_CODE="+a.settings.Root,
		"LAMBENT_CGROUPS=", // it is in them
	), descriptors
}

// fromParent is what a child is told. Nothing that it got stays open in the runtimes that it starts.
func fromParent() ([]string, error) {
	for descriptor := parentDescriptor; descriptor <= parentDescriptor+2; descriptor++ {
		syscall.CloseOnExec(descriptor)
	}
	told := make([]byte, toldBytesMax)
	for {
		n, err := syscall.Read(parentDescriptor, told)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return nil, errors.New("the agent that started this one is gone")
		default:
			return strings.Split(string(told[:n]), "\x00"), nil
		}
	}
}

// tellParent says that a gateway has welcomed this agent.
func tellParent(socket int) {
	_, _ = syscall.Write(socket, []byte{1})
	syscall.Close(socket)
}
