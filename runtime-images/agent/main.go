// The agent: supervisor of one execution environment. It dials the gateway, gets code and configuration, runs the runtime beside
// it, and tells what came of it. All settings are LAMBENT_* variables; docs/decisions/0002-env-link.md has the protocol.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"lambent.dev/agent/supervisor"
)

// version is set when the agent is built: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread() // children die with the thread that started them
	debug.SetGCPercent(50) // invocations make no garbage; what large payloads leave shall not stay
	settings, err := supervisor.ReadSettings(os.Environ())
	if err == nil {
		err = supervisor.Run(settings, version)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString("lambent-agent: " + err.Error() + "\n")
		os.Exit(1)
	}
}
