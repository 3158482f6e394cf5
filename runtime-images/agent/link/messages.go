package link

// The JSON bodies of the link's control frames.

// Greeting is the body of HELLO.
type Greeting struct {
	Protocol     int         `json:"protocol"`
	Environment  string      `json:"environment"`
	Token        string      `json:"token"`
	Secret       string      `json:"secret,omitempty"`
	Runtime      string      `json:"runtime"`
	PID          int         `json:"pid"`
	AgentVersion string      `json:"agentVersion"`
	Opens        bool        `json:"opens,omitempty"`
	Opened       *Opened     `json:"opened,omitempty"`
	Slots        []SlotState `json:"slots"`
}

// Opened is what a gateway must know of environments that others have opened beside the agent's own.
type Opened struct {
	Last  uint64   `json:"last"`  // the highest number that one was given
	Most  int      `json:"most"`  // that were there at once, the agent's own included
	Alive []string `json:"alive"` // that have been asked for and have not ended
}

// Welcoming is the body of WELCOME. The secret proves at later greetings that it is the same agent.
type Welcoming struct {
	Secret string `json:"secret"`
}

// SlotState says what a slot is doing when the agent greets.
type SlotState struct {
	Slot      int     `json:"slot"`
	State     string  `json:"state"`
	Revision  *string `json:"revision"`
	RequestID *string `json:"requestId"`
}

// Specialization is the body of SPECIALIZE: what the slot shall become.
type Specialization struct {
	Revision         string            `json:"revision"`
	Function         Function          `json:"function"`
	Handler          string            `json:"handler"`
	Runtime          Runtime           `json:"runtime"`
	Environment      map[string]string `json:"environment"`
	Packages         []Package         `json:"packages"`
	InitTimeoutMs    int64             `json:"initTimeoutMs"`
	MemoryLimitBytes int64             `json:"memoryLimitBytes"`
}

type Function struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	ARN       string `json:"arn"`
	MemoryMb  int64  `json:"memoryMb"`
	TimeoutMs int64  `json:"timeoutMs"`
}

// Runtime is the process to run and what it speaks: "frames" on descriptor 3 or the Runtime "api".
type Runtime struct {
	Protocol string   `json:"protocol"`
	Command  []string `json:"command"`
	// WorkingDirectory is where a container image's command starts; empty: where the image says.
	WorkingDirectory string `json:"workingDirectory"`
}

// Package is a ZIP file by digest, and where it belongs: "task" or "opt".
type Package struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Target string `json:"target"`
}

// Initialization is the body of INIT towards the gateway. Times in nanoseconds.
type Initialization struct {
	Status    string  `json:"status"`
	InitNs    int64   `json:"initNs"`
	Phases    Phases  `json:"phases"`
	ErrorType *string `json:"errorType"`
}

type Phases struct {
	FetchNs    int64 `json:"fetchNs"`
	UnpackNs   int64 `json:"unpackNs"`
	RuntimeNs  int64 `json:"runtimeNs"`
	FunctionNs int64 `json:"functionNs"`
}

// BootstrapInit is the body of INIT towards a bootstrap.
type BootstrapInit struct {
	Handler string `json:"handler"`
	// Environment is nil for a process that was started with it.
	Environment map[string]string `json:"environment"`
	TaskRoot    string            `json:"taskRoot"`
	OptRoot     string            `json:"optRoot"`
	Function    Function          `json:"function"`
}

// Redirection is the body of REDIRECT: the gateway that the agent belongs to from now on.
type Redirection struct {
	Gateway string `json:"gateway"`
}

// Opening is the body of OPEN: an environment to be started beside the agent's own, with the secret that it shows; or, the other way, why
// there is none.
type Opening struct {
	Environment string `json:"environment"`
	Secret      string `json:"secret,omitempty"`
	Error       string `json:"error,omitempty"`
}

// Ending is the body of SHUTDOWN.
type Ending struct {
	Reason string `json:"reason"`
}
