package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Settings of an agent, all from LAMBENT_* variables of its environment.
type Settings struct {
	Gateway     address
	Environment string
	Token       string
	Runtime     string
	// Prestart is the command of a bootstrap to start before there is code; empty: none.
	Prestart []string
	// PatienceNs is how long a lost gateway is looked for.
	PatienceNs int64
	// Root is this environment's own folder.
	Root string
	// Trees is the machine's cache of unpacked packages.
	Trees string
	// Blobs holds packages as files named by digest; empty: they are fetched over the link.
	Blobs string
	// RuntimeFolder is what is at /var/runtime.
	RuntimeFolder string
	Mounts        bool
	Cgroups       []string
	// Inherited is the rest of the environment, "NAME=value": a pre-started bootstrap gets it.
	Inherited []string
}

const patienceSeconds = 60

// ReadSettings reads the variables and says which is wrong.
func ReadSettings(environ []string) (Settings, error) {
	values := map[string]string{}
	var s Settings
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "LAMBENT_") {
			values[name] = value
		} else {
			s.Inherited = append(s.Inherited, variable)
		}
	}
	for _, name := range []string{"LAMBENT_GATEWAY", "LAMBENT_ENVIRONMENT", "LAMBENT_TOKEN", "LAMBENT_ROOT"} {
		if values[name] == "" {
			return s, fmt.Errorf("%s is not set", name)
		}
	}
	var err error
	if s.Gateway, err = parseAddress(values["LAMBENT_GATEWAY"]); err != nil {
		return s, err
	}
	s.Environment, s.Token, s.Runtime = values["LAMBENT_ENVIRONMENT"], values["LAMBENT_TOKEN"], values["LAMBENT_RUNTIME"]
	if text := values["LAMBENT_PRESTART"]; text != "" {
		if err := json.Unmarshal([]byte(text), &s.Prestart); err != nil {
			return s, fmt.Errorf("LAMBENT_PRESTART is no JSON list of strings: %w", err)
		}
	}
	s.PatienceNs = patienceSeconds * 1e9
	if text := values["LAMBENT_LINK_PATIENCE_SECONDS"]; text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || seconds < 0 {
			return s, fmt.Errorf("LAMBENT_LINK_PATIENCE_SECONDS is %q, not a number of seconds", text)
		}
		s.PatienceNs = int64(seconds * 1e9)
	}
	s.Root = values["LAMBENT_ROOT"]
	if s.Trees = values["LAMBENT_TREES"]; s.Trees == "" {
		s.Trees = filepath.Join(s.Root, "trees")
	}
	s.Blobs, s.RuntimeFolder = values["LAMBENT_BLOBS"], values["LAMBENT_RUNTIME_DIR"]
	s.Mounts = values["LAMBENT_MOUNTS"] == "1"
	if text := values["LAMBENT_CGROUPS"]; text != "" {
		s.Cgroups = strings.Split(text, ":")
	}
	return s, os.MkdirAll(s.Trees, 0o755)
}
