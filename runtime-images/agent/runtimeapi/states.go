package runtimeapi

// State of the runtime as the API sees it. Names are those that AWS's error messages tell.
type State uint8

const (
	Closed State = iota // not spoken to: everything is refused
	Started
	InitError
	Ready // has asked for an invocation, and perhaps got it
	InvocationResponse
	InvocationErrorResponse
	ResponseSent
)

var stateNames = [...]string{
	Closed:                  "RuntimeClosed",
	Started:                 "RuntimeStarted",
	InitError:               "RuntimeInitError",
	Ready:                   "RuntimeReady",
	InvocationResponse:      "RuntimeInvocationResponse",
	InvocationErrorResponse: "RuntimeInvocationErrorResponse",
	ResponseSent:            "RuntimeResponseSent",
}

func (s State) String() string { return stateNames[s] }

// Call is something that a runtime may ask for, named by the state that it wants to get to.
type Call = State

// allowed lists what each state allows. What is not listed is refused.
var allowed = map[State][]Call{
	Started:      {Ready, InitError},
	Ready:        {Ready, InvocationResponse, InvocationErrorResponse},
	ResponseSent: {Ready},
}

// Allows says whether a runtime in this state may make a call.
func (s State) Allows(call Call) bool {
	for _, candidate := range allowed[s] {
		if candidate == call {
			return true
		}
	}
	return false
}
