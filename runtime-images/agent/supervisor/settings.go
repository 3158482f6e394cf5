package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lambent.dev/agent/sandbox"
)

// Settings of an agent, all from LAMBENT_* variables of its environment.
type Settings struct {
	// Gateways are dialled in turn until one takes the agent: the one that wants it, and where to look if that one is gone.
	Gateways    []address
	Environment string
	Token       string
	// Secret is what a child's gateway knows it by before it has welcomed it; empty: the agent is no child.
	Secret string
	// TokenFile holds the token where somebody replaces it from time to time; it is read at each greeting.
	TokenFile string
	Runtime   string
	// Prestart is the command of a bootstrap to start before there is code; empty: none.
	Prestart []string
	// PatienceNs is how long a lost gateway is looked for.
	PatienceNs int64
	// Root is this environment's own folder.
	Root string
	// Code is the folder of the agent that started this one, whose code it runs too; empty: the agent is no child.
	Code string
	// Parent is the socket to that agent.
	Parent int
	// Trees is the machine's cache of unpacked packages.
	Trees string
	// Blobs holds packages as files named by digest; empty: they are fetched over the link.
	Blobs string
	// RuntimeFolder is what is at /var/runtime.
	RuntimeFolder string
	Places        sandbox.Kind
	Cgroups       []string
	// Inherited is the rest of the environment, "NAME=value": runtimes get it, a pre-started bootstrap as it is.
	Inherited []string
	// Own are the LAMBENT_ variables as they came.
	Own []string
}

const patienceSeconds = 60

// ReadSettings reads the variables and says which is wrong.
func ReadSettings(environ []string) (Settings, error) {
	s := Settings{Parent: noParent}
	if slices.Contains(environ, parentVariable) {
		told, err := fromParent()
		if err != nil {
			return s, err
		}
		environ = append(environ, told...)
		s.Parent = parentDescriptor
	}
	values := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "LAMBENT_") {
			values[name] = value
			s.Own = append(s.Own, variable)
		} else {
			s.Inherited = append(s.Inherited, variable)
		}
	}
	for _, name := range []string{"LAMBENT_GATEWAY", "LAMBENT_ENVIRONMENT", "LAMBENT_ROOT"} {
		if values[name] == "" {
			return s, fmt.Errorf("%s is not set", name)
		}
	}
	for _, name := range []string{"LAMBENT_GATEWAY", "LAMBENT_GATEWAY_FALLBACK"} {
		if values[name] == "" {
			continue
		}
		gateway, err := parseAddress(name, values[name])
		if err != nil {
			return s, err
		}
		s.Gateways = append(s.Gateways, gateway)
	}
	s.Environment, s.Runtime = values["LAMBENT_ENVIRONMENT"], values["LAMBENT_RUNTIME"]
	if s.Token, s.TokenFile = values["LAMBENT_TOKEN"], values["LAMBENT_TOKEN_FILE"]; s.Token == "" && s.TokenFile == "" {
		return s, errors.New("neither LAMBENT_TOKEN nor LAMBENT_TOKEN_FILE is set")
	}
	if s.Parent != noParent { // nobody else may say so: variables of a function's Secrets are here too
		s.Secret, s.Code = values["LAMBENT_SECRET"], values["LAMBENT_CODE"]
	}
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
	var err error
	if s.Places, err = sandbox.ParseKind(values["LAMBENT_PLACES"]); err != nil {
		return s, fmt.Errorf("LAMBENT_PLACES is %w", err)
	}
	if text := values["LAMBENT_CGROUPS"]; text != "" {
		s.Cgroups = strings.Split(text, ":")
	}
	if s.Code != "" {
		return s, nil
	}
	return s, os.MkdirAll(s.Trees, 0o755)
}
