// The agent: supervisor of one execution environment. It dials the gateway, gets code and configuration, runs the runtime beside
// it, and tells what came of it. All settings are LAMBENT_* variables; docs/decisions/0002-env-link.md has the protocol.
//
// `lambent-agent install FOLDER` copies the program there, and does nothing else.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"lambent.dev/agent/install"
	"lambent.dev/agent/process"
	"lambent.dev/agent/supervisor"
)

// version is set when the agent is built: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = os.Stderr.WriteString("lambent-agent: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "install" {
		return install.Into(arguments[1])
	}
	process.HideMemory() // before there is anything to hide in it
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(50) // invocations make no garbage; what large payloads leave shall not stay
	settings, err := supervisor.ReadSettings(os.Environ())
	if err != nil {
		return err
	}
	return supervisor.Run(settings, version)
}
