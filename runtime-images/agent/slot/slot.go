// Package slot is the life of one execution environment: what follows from what, without doing any of it.
//
// The supervisor tells what happened and when (nanoseconds of a clock that is never set); the slot tells its Ports what to do.
//
//	S1  an INVOKE gets exactly one answer (RESPONSE, ERROR or a stream), then exactly one REPORT
//	S2  an INVOKE reaches the runtime only when the runtime is initialised and has no other
//	S3  after its deadline an invocation is never answered by the runtime
//	S4  after every REPORT the slot takes the next INVOKE, whatever became of the runtime
package slot

import (
	"fmt"

	"lambent.dev/agent/link"
)

// State of a slot.
type State uint8

const (
	Generic      State = iota // no function yet
	Preparing                 // code is being fetched and unpacked
	Initializing              // the runtime's first start
	Idle                      // initialised, nothing to do
	Busy                      // the runtime has an invocation
	Restarting                // an invocation waits for the runtime's suppressed init
	Stopping                  // the runtime was killed and has not ended yet
	Down                      // no runtime: the next INVOKE starts one
	Unusable                  // the code can't be had: every INVOKE is answered with that
)

// Name is the state as HELLO tells it.
func (s State) Name() string {
	switch s {
	case Generic:
		return "generic"
	case Preparing, Initializing:
		return "initializing"
	case Idle, Down, Unusable:
		return "idle"
	default:
		return "busy"
	}
}

// Ports is what a slot makes happen.
type Ports interface {
	// Prepare fetches and unpacks the code; Prepared follows.
	Prepare(spec *link.Specialization)
	// Start starts the runtime and its init; Ready, InitFailed, Unstartable or Exited follows.
	Start()
	// Deliver hands an INVOKE to the runtime.
	Deliver(invoke link.Frame)
	// Kill ends the runtime; Exited follows.
	Kill()
	// Wake asks for TimePassed at a time; 0: no longer.
	Wake(at int64)
	// FlushLog sends what was written so far as LOG.
	FlushLog(outside bool)
	// Send puts a frame on the link.
	Send(frame []byte)
	// MemoryMax is the high-water mark of the environment, bytes.
	MemoryMax() uint64
	// Initialized sends INIT.
	Initialized(init link.Initialization)
}

const (
	exitError     = "Runtime.ExitError"
	timedOutError = "Sandbox.Timedout"
)

// Failure is an error as the caller sees it. Object is the error object, JSON.
type Failure struct {
	Type   string
	Object []byte
}

// Trouble is an error of the platform's own before it is an error object.
type Trouble struct {
	Type    string
	Message string
}

// Slot is the one owner of an environment's state.
type Slot struct {
	Number uint16
	ports  Ports
	state  State
	spec   *link.Specialization
	phases link.Phases

	waiting  []byte // an INVOKE that could not be delivered when it came, whole, until its REPORT
	request  []byte // id of the invocation in flight
	last     []byte // id of the one before
	answered bool
	streams  bool     // the answer has begun as a stream
	failure  *Trouble // why an Unusable slot is that
	cause    cause    // why a Stopping runtime was killed

	deliveredAt int64
	initBegan   int64
	initNs      int64 // what the invocation in flight paid for
	firstInit   bool
	outcome     link.Status
	errorType   string
	scratch     []byte
}

type cause uint8

const (
	none cause = iota
	invocationTimedOut
	initTimedOut
	initFailed
	overMemory
	brokeProtocol
)

// New makes a slot without a function.
func New(number uint16, ports Ports) *Slot { return &Slot{Number: number, ports: ports} }

// State is what the slot is doing.
func (s *Slot) State() State { return s.state }

// Running is the id of the invocation in flight, or empty.
func (s *Slot) Running() []byte { return s.request }

// Last is the id of the last invocation that was reported, or empty.
func (s *Slot) Last() []byte { return s.last }

// Revision is what SPECIALIZE called the slot; empty before.
func (s *Slot) Revision() string {
	if s.spec == nil {
		return ""
	}
	return s.spec.Revision
}

// Specialize makes the slot the function's. It can be done once.
func (s *Slot) Specialize(spec *link.Specialization) error {
	if s.state != Generic {
		return fmt.Errorf("slot %d is specialised already", s.Number)
	}
	s.spec = spec
	s.state = Preparing
	s.ports.Prepare(spec)
	return nil
}

// Prepared says that the code is in its place, or why it is not.
func (s *Slot) Prepared(now int64, phases link.Phases, failure *Trouble) {
	s.phases = phases
	if failure != nil {
		s.state = Unusable
		s.failure = failure
		s.tellInit("error", failure.Type)
		s.takeWaiting(now)
		return
	}
	s.state = Initializing
	s.firstInit = true
	s.initBegan = now
	s.ports.Wake(now + s.spec.InitTimeoutMs*1e6)
	s.ports.Start()
}

// Spawned says how long the start of the runtime's process took: the part of init that isn't the function's.
func (s *Slot) Spawned(ns int64) { s.phases.RuntimeNs = ns }

// Ready says that the runtime is initialised.
func (s *Slot) Ready(now int64) {
	switch s.state {
	case Initializing:
		s.state = Idle
		s.ports.Wake(0)
		s.endFirstInit(now, "success", "")
		s.takeWaiting(now)
	case Restarting:
		s.endRestart(now)
		s.state = Busy
		s.ports.Deliver(wholeFrame(s.waiting))
	}
}

// InitFailed says that the runtime gave up its init and why.
func (s *Slot) InitFailed(now int64, failure Failure) {
	switch s.state {
	case Initializing:
		s.ports.FlushLog(true)
		s.endFirstInit(now, "error", failure.Type)
		s.stop(now, initFailed)
	case Restarting:
		s.answerWith(failure, link.Failed)
		s.stop(now, initFailed)
	}
}

// Invoke takes an INVOKE frame.
func (s *Slot) Invoke(now int64, frame link.Frame) error {
	switch s.state {
	case Idle:
		if err := s.accept(frame); err != nil {
			return err
		}
		s.ports.FlushLog(true)
		s.state = Busy
		s.deliveredAt = now
		s.ports.Wake(now + s.spec.Function.TimeoutMs*1e6)
		s.ports.Deliver(frame)
	case Generic:
		return fmt.Errorf("INVOKE for slot %d, which has no function", s.Number)
	case Busy, Restarting:
		return fmt.Errorf("INVOKE for slot %d, which has an invocation", s.Number)
	default:
		if s.waiting != nil || len(s.request) > 0 {
			return fmt.Errorf("INVOKE for slot %d, which has an invocation", s.Number)
		}
		if _, _, err := link.ParseInvoke(frame.Body); err != nil {
			return err
		}
		s.waiting = append([]byte(nil), frame.Raw...)
		if s.state == Down || s.state == Unusable {
			s.takeWaiting(now)
		}
	}
	return nil
}

// Answer sends the runtime's answer, a whole frame, on its way. False: nobody waits for one, it was dropped.
func (s *Slot) Answer(frame []byte, status link.Status, errorType string) bool {
	if s.state != Busy || s.answered {
		return false
	}
	s.ports.FlushLog(false)
	s.ports.Send(frame)
	s.Answered(status, errorType)
	return true
}

// Answered says that the answer has been sent, e.g. as a stream, and how the invocation ended.
func (s *Slot) Answered(status link.Status, errorType string) {
	s.answered, s.outcome, s.errorType = true, status, errorType
}

// MayAnswer says whether the runtime owes an answer.
func (s *Slot) MayAnswer() bool { return s.state == Busy && !s.answered }

// Streams says that the runtime has begun to answer with a stream.
func (s *Slot) Streams() { s.streams = true }

// Streaming says whether the runtime owes the rest of a stream.
func (s *Slot) Streaming() bool { return s.streams && s.MayAnswer() }

// Free says that the runtime is done with an invocation that it has answered.
func (s *Slot) Free(now int64) {
	if s.state == Busy && s.answered {
		s.state = Idle
		s.ports.Wake(0)
		s.report(now)
	}
}

// BrokeProtocol says that the runtime can't be talked to any more.
func (s *Slot) BrokeProtocol(now int64) { s.stop(now, brokeProtocol) }

// OverMemory says that the runtime is above its memory limit.
func (s *Slot) OverMemory(now int64) { s.stop(now, overMemory) }

// TimePassed comes when Wake's time has.
func (s *Slot) TimePassed(now int64) {
	switch s.state {
	case Initializing:
		s.stop(now, initTimedOut)
	case Restarting, Busy:
		s.stop(now, invocationTimedOut)
	}
}

// Exited says that the runtime's process is over; how, in Lambda's words. All it had said was told before.
func (s *Slot) Exited(now int64, how string) {
	if s.state == Restarting {
		s.endRestart(now)
	}
	cause := s.cause
	s.state, s.cause = Down, none
	s.ports.Wake(0)
	s.ports.FlushLog(len(s.request) == 0)
	switch {
	case s.firstInit:
		if cause == initTimedOut {
			s.endFirstInit(now, "timeout", "")
		} else {
			s.endFirstInit(now, "error", exitError)
		}
	case len(s.request) > 0:
		s.conclude(now, cause, how)
	}
	s.takeWaiting(now)
}

// Unstartable says that the runtime's process could not be started at all.
func (s *Slot) Unstartable(now int64, failure Trouble) {
	state := s.state
	s.state = Down
	s.ports.Wake(0)
	if state == Initializing {
		s.endFirstInit(now, "error", failure.Type)
	} else {
		s.endRestart(now)
		s.answerWith(s.describe(failure.Type, failure.Message), link.Broken)
		s.report(now)
	}
	s.takeWaiting(now)
}

func (s *Slot) stop(now int64, why cause) {
	switch s.state {
	case Initializing, Idle, Busy:
	case Restarting:
		s.endRestart(now)
	default:
		return
	}
	s.state, s.cause = Stopping, why
	s.ports.Wake(0)
	s.ports.Kill()
}

// conclude ends the invocation in flight, whose runtime is gone.
func (s *Slot) conclude(now int64, why cause, how string) {
	switch {
	case why == initFailed: // answered by InitFailed
	case why == invocationTimedOut:
		seconds := float64(s.spec.Function.TimeoutMs) / 1000
		s.answerWith(s.describe(timedOutError, fmt.Sprintf("Task timed out after %.2f seconds", seconds)), link.TimedOut)
	default:
		s.answerWith(s.describe(exitError, how), link.Broken)
	}
	s.report(now)
}

// answerWith answers unless the runtime has; how the invocation ended is the failure either way.
func (s *Slot) answerWith(failure Failure, status link.Status) {
	if !s.answered {
		kind := link.Error
		if s.streams {
			kind = link.StreamEnd
		}
		s.ports.FlushLog(false)
		s.ports.Send(link.AppendError(nil, kind, s.Number, failure.Type, failure.Object))
	}
	s.Answered(status, failure.Type)
}

// describe is an error of the platform's own, in the shape that Lambda gives it.
func (s *Slot) describe(errorType, message string) Failure {
	return Failure{errorType, errorObject(errorType, "RequestId: "+string(s.request)+" Error: "+message)}
}

func (s *Slot) report(now int64) {
	s.scratch = link.AppendReport(s.scratch[:0], s.Number, link.Outcome{
		DurationNs:     uint64(now - s.deliveredAt),
		InitNs:         uint64(s.initNs),
		MemoryMaxBytes: s.ports.MemoryMax(),
		Status:         s.outcome,
		ErrorType:      s.errorType,
	})
	s.ports.Send(s.scratch)
	s.waiting = nil
	s.last, s.request = s.request, s.last[:0]
	s.initNs = 0
}

func (s *Slot) accept(frame link.Frame) error {
	head, _, err := link.ParseInvoke(frame.Body)
	if err != nil {
		return err
	}
	s.request = append(s.request[:0], head.RequestID...)
	s.answered, s.streams = false, false
	return nil
}

// takeWaiting goes on with an INVOKE that came too early.
func (s *Slot) takeWaiting(now int64) {
	if s.waiting == nil {
		return
	}
	frame := wholeFrame(s.waiting)
	switch s.state {
	case Idle:
		_ = s.Invoke(now, frame) // was parsed when it came
	case Down:
		_ = s.accept(frame)
		s.state = Restarting
		s.initBegan = now
		s.ports.FlushLog(true)
		s.ports.Wake(now + s.spec.Function.TimeoutMs*1e6)
		s.ports.Start()
	case Unusable:
		_ = s.accept(frame)
		s.deliveredAt = now
		s.answerWith(s.describe(s.failure.Type, s.failure.Message), link.Broken)
		s.report(now)
	}
}

// endRestart ends the suppressed init, however it went: from here on the invocation's own time counts.
func (s *Slot) endRestart(now int64) {
	s.initNs = now - s.initBegan
	s.deliveredAt = now
}

func (s *Slot) endFirstInit(now int64, status, errorType string) {
	s.firstInit = false
	s.phases.FunctionNs = max(0, now-s.initBegan-s.phases.RuntimeNs)
	s.tellInit(status, errorType)
}

func (s *Slot) tellInit(status, errorType string) {
	init := link.Initialization{Status: status, Phases: s.phases}
	init.InitNs = s.phases.RuntimeNs + s.phases.FunctionNs
	if errorType != "" {
		init.ErrorType = &errorType
	}
	s.ports.Initialized(init)
}

func wholeFrame(raw []byte) link.Frame {
	return link.Frame{Type: link.Type(raw[4]), Flags: raw[5], Body: raw[link.HeaderBytes:], Raw: raw}
}
