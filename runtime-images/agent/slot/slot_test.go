package slot

import (
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"lambent.dev/agent/link"
)

// recorder notes what a slot makes happen, and plays the part of the runtime only as far as the test says.
type recorder struct {
	notes     []string
	wake      int64
	delivered link.Frame
	// phases of the init that was told last
	phases link.Phases
}

func (r *recorder) note(format string, values ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, values...))
}
func (r *recorder) Prepare(*link.Specialization) { r.note("prepare") }
func (r *recorder) Start()                       { r.note("start") }
func (r *recorder) Deliver(frame link.Frame) {
	r.delivered = frame
	r.note("deliver %s", request(frame))
}
func (r *recorder) Kill()                 { r.note("kill") }
func (r *recorder) Wake(at int64)         { r.wake = at }
func (r *recorder) FlushLog(outside bool) { r.note("log outside=%v", outside) }
func (r *recorder) MemoryMax() uint64     { return 7 }
func (r *recorder) Initialized(init link.Initialization) {
	r.phases = init.Phases
	errorType := "-"
	if init.ErrorType != nil {
		errorType = *init.ErrorType
	}
	r.note("init %s %s %dns", init.Status, errorType, init.InitNs)
}

func (r *recorder) Send(raw []byte) {
	switch body := raw[link.HeaderBytes:]; link.Type(raw[4]) {
	case link.Response:
		r.note("response %s", body)
	case link.Error, link.StreamEnd:
		errorType, object, _ := link.ParseError(body)
		name := map[link.Type]string{link.Error: "error", link.StreamEnd: "stream end"}[link.Type(raw[4])]
		r.note("%s %s %s", name, errorType, object)
	case link.Report:
		o, _ := link.ParseReport(body)
		r.note("report %dns init %dns status %d %s", o.DurationNs, o.InitNs, o.Status, o.ErrorType)
	}
}

func (r *recorder) take() string {
	notes := strings.Join(r.notes, "; ")
	r.notes = nil
	return notes
}

func request(frame link.Frame) string {
	head, _, _ := link.ParseInvoke(frame.Body)
	return string(head.RequestID)
}

func invoke(id string) link.Frame {
	raw := link.AppendInvoke(nil, 0, 0, link.Head{RequestID: []byte(id)}, []byte("{}"))
	return link.Frame{Type: link.Invoke, Body: raw[link.HeaderBytes:], Raw: raw}
}

func response(text string) []byte { return link.Append(nil, link.Response, 0, 0, []byte(text)) }

// streamed is an INVOKE whose caller takes a stream.
func streamed(id string) link.Frame {
	raw := link.AppendInvoke(nil, 0, link.InvokeStream, link.Head{RequestID: []byte(id)}, []byte("{}"))
	return link.Frame{Type: link.Invoke, Flags: link.InvokeStream, Body: raw[link.HeaderBytes:], Raw: raw}
}

const second = int64(1e9)

var spec = &link.Specialization{Revision: "r", Function: link.Function{TimeoutMs: 2000}, InitTimeoutMs: 10_000}

// started is a slot whose runtime has been started at time 0.
func started(t *testing.T) (*Slot, *recorder) {
	t.Helper()
	r := &recorder{}
	s := New(0, r)
	if err := s.Specialize(spec); err != nil {
		t.Fatal(err)
	}
	s.Prepared(0, link.Phases{}, nil)
	r.take()
	return s, r
}

func ready(t *testing.T) (*Slot, *recorder) {
	s, r := started(t)
	s.Ready(5)
	r.take()
	return s, r
}

func expect(t *testing.T, r *recorder, want ...string) {
	t.Helper()
	if got := r.take(); got != strings.Join(want, "; ") {
		t.Errorf("\n got %s\nwant %s", got, strings.Join(want, "; "))
	}
}

func mustInvoke(t *testing.T, s *Slot, now int64, id string) {
	t.Helper()
	if err := s.Invoke(now, invoke(id)); err != nil {
		t.Fatal(err)
	}
}

func TestAnInvocation(t *testing.T) {
	s, r := started(t)
	if r.wake != 10*second || s.State().Name() != "initializing" {
		t.Error(r.wake, s.State().Name())
	}
	s.Spawned(3)
	s.Ready(8)
	expect(t, r, "init success - 8ns")
	mustInvoke(t, s, 10, "a")
	expect(t, r, "log outside=true", "deliver a")
	if r.wake != 10+2*second || s.State().Name() != "busy" || string(s.Running()) != "a" {
		t.Error(r.wake, s.State().Name(), string(s.Running()))
	}
	if !s.Answer(response("1"), link.Success, "") || s.Answer(response("2"), link.Success, "") {
		t.Error("not exactly one answer")
	}
	s.Free(30)
	expect(t, r, "log outside=false", "response 1", "report 20ns init 0ns status 0 ")
	if r.wake != 0 || s.State().Name() != "idle" || len(s.Running()) != 0 {
		t.Error(r.wake, s.State().Name(), string(s.Running()))
	}
	s.Free(31)
	expect(t, r)
}

func TestTheFirstInit(t *testing.T) {
	r := &recorder{}
	s := New(0, r)
	if s.Revision() != "" {
		t.Error(s.Revision())
	}
	_ = s.Specialize(spec)
	mustInvoke(t, s, 40, "early")
	s.Prepared(50, link.Phases{FetchNs: 3, UnpackNs: 4}, nil)
	s.Spawned(10)
	expect(t, r, "prepare", "start")
	s.Ready(80)
	expect(t, r, "init success - 30ns", "log outside=true", "deliver early")
	if s.Revision() != "r" || r.wake != 80+2*second {
		t.Error(s.Revision(), r.wake)
	}
	if want := (link.Phases{FetchNs: 3, UnpackNs: 4, RuntimeNs: 10, FunctionNs: 20}); r.phases != want {
		t.Error(r.phases)
	}
	s.Answer(response("1"), link.Success, "")
	s.Free(90)
	expect(t, r, "log outside=false", "response 1", "report 10ns init 0ns status 0 ")
	mustInvoke(t, s, 100, "next")
	expect(t, r, "log outside=true", "deliver next")
}

// An INVOKE that waited is the frame that it was, and so is one that waited for the suppressed init.
func TestWhatWaitedIsDeliveredWhole(t *testing.T) {
	s, r := started(t)
	if err := s.Invoke(1, streamed("early")); err != nil {
		t.Fatal(err)
	}
	s.Ready(2)
	if want := streamed("early"); !reflect.DeepEqual(r.delivered, want) {
		t.Errorf("%+v\n%+v", r.delivered, want)
	}
	s, r = ready(t)
	s.Exited(3, "it ended")
	if err := s.Invoke(4, streamed("next")); err != nil {
		t.Fatal(err)
	}
	s.Ready(5)
	if want := streamed("next"); !reflect.DeepEqual(r.delivered, want) {
		t.Errorf("%+v\n%+v", r.delivered, want)
	}
}

// Start and end of a process are told by clocks that need not agree to the nanosecond.
func TestTheFunctionsPartOfTheInitIsNeverLessThanNothing(t *testing.T) {
	s, r := started(t)
	s.Spawned(9)
	s.Ready(8)
	expect(t, r, "init success - 9ns")
	if r.phases.FunctionNs != 0 {
		t.Error(r.phases.FunctionNs)
	}
}

func TestWhatTheRuntimeOwes(t *testing.T) {
	s, _ := ready(t)
	owes := func(answer, stream bool) {
		t.Helper()
		if s.MayAnswer() != answer || s.Streaming() != stream {
			t.Errorf("owes an answer: %v, the rest of a stream: %v", s.MayAnswer(), s.Streaming())
		}
	}
	owes(false, false)
	mustInvoke(t, s, 10, "a")
	owes(true, false)
	s.Streams()
	owes(true, true)
	s.Answered(link.Success, "")
	owes(false, false)
	s.Free(11)
	mustInvoke(t, s, 12, "b")
	owes(true, false)
}

// The time that was asked for is over when what it was for is.
func TestNothingIsWokenForNothing(t *testing.T) {
	ended := map[string]func(*Slot){
		"ready":       func(s *Slot) { s.Ready(1) },
		"failed":      func(s *Slot) { s.InitFailed(1, Failure{}) },
		"ended":       func(s *Slot) { s.Exited(1, "") },
		"unstartable": func(s *Slot) { s.Unstartable(1, Trouble{}) },
	}
	for name, event := range ended {
		s, r := started(t)
		if event(s); r.wake != 0 {
			t.Error(name, r.wake)
		}
	}
}

func TestATimeoutAndTheSuppressedInit(t *testing.T) {
	s, r := ready(t)
	mustInvoke(t, s, 10, "a")
	r.take()
	s.TimePassed(10 + 2*second)
	if s.Answer(response("late"), link.Success, "") {
		t.Error("answered after the deadline")
	}
	expect(t, r, "kill")
	s.Exited(11+2*second, "Runtime exited with error: signal: killed")
	expect(t, r, "log outside=false", "log outside=false",
		`error Sandbox.Timedout {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: a Error: Task timed out after 2.00 seconds"}`,
		"report 2000000001ns init 0ns status 2 Sandbox.Timedout")
	mustInvoke(t, s, 100*second, "b")
	expect(t, r, "log outside=true", "start")
	if r.wake != 102*second {
		t.Error("the suppressed init is not under the function's time-out")
	}
	s.Ready(101 * second)
	expect(t, r, "deliver b")
	s.Answer(response("x"), link.Success, "")
	s.Free(101*second + 5)
	expect(t, r, "log outside=false", "response x", "report 5ns init 1000000000ns status 0 ")
	mustInvoke(t, s, 200*second, "c")
	s.Answer(response("y"), link.Success, "")
	s.Free(200*second + 1)
	expect(t, r, "log outside=true", "deliver c", "log outside=false", "response y", "report 1ns init 0ns status 0 ")
}

func TestTheLongestTimeoutIsToldToTheHundredth(t *testing.T) {
	r := &recorder{}
	s := New(0, r)
	_ = s.Specialize(&link.Specialization{Function: link.Function{TimeoutMs: 900_000}, InitTimeoutMs: 10_000})
	s.Prepared(0, link.Phases{}, nil)
	s.Ready(1)
	mustInvoke(t, s, 2, "a")
	s.TimePassed(900 * second)
	s.Exited(901*second, "it ended")
	if told := r.take(); !strings.Contains(told, "Task timed out after 900.00 seconds") {
		t.Error(told)
	}
}

func TestAnInitErrorIsAnsweredByTheNextInit(t *testing.T) {
	s, r := started(t)
	s.InitFailed(9, Failure{"E", []byte("{}")})
	expect(t, r, "log outside=true", "init error E 9ns", "kill")
	s.Exited(10, "x")
	expect(t, r, "log outside=true")
	mustInvoke(t, s, 20, "a")
	s.InitFailed(25, Failure{"E", []byte("{}")})
	expect(t, r, "log outside=true", "start", "log outside=false", "error E {}", "kill")
	s.Exited(30, "x")
	expect(t, r, "log outside=false", "report 5ns init 5ns status 1 E")
}

func TestAnInitThatTakesTooLong(t *testing.T) {
	s, r := started(t)
	mustInvoke(t, s, 1, "early")
	s.TimePassed(10 * second)
	s.Exited(10*second+1, "x")
	expect(t, r, "kill", "log outside=true", "init timeout - 10000000001ns", "log outside=true", "start")
	s.TimePassed(13 * second)
	s.Exited(13*second, "x")
	expect(t, r, "kill", "log outside=false", "log outside=false",
		`error Sandbox.Timedout {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: early Error: Task timed out after 2.00 seconds"}`,
		"report 0ns init 2999999999ns status 2 Sandbox.Timedout")
}

func TestTheRuntimeEnds(t *testing.T) {
	exit := func(id string) string {
		return `error Runtime.ExitError {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ` + id + ` Error: it ended"}`
	}
	t.Run("during init", func(t *testing.T) {
		s, r := started(t)
		s.Exited(9, "it ended")
		expect(t, r, "log outside=true", "init error Runtime.ExitError 9ns")
		mustInvoke(t, s, 10, "a")
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true", "start", "log outside=false", "log outside=false", exit("a"), "report 0ns init 2ns status 3 Runtime.ExitError")
	})
	t.Run("during an invocation", func(t *testing.T) {
		s, r := ready(t)
		mustInvoke(t, s, 10, "a")
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true", "deliver a", "log outside=false", "log outside=false", exit("a"), "report 2ns init 0ns status 3 Runtime.ExitError")
	})
	t.Run("after the answer", func(t *testing.T) {
		s, r := ready(t)
		mustInvoke(t, s, 10, "a")
		s.Answer(response("1"), link.Success, "")
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true", "deliver a", "log outside=false", "response 1", "log outside=false", "report 2ns init 0ns status 3 Runtime.ExitError")
	})
	t.Run("in a stream", func(t *testing.T) {
		s, r := ready(t)
		mustInvoke(t, s, 10, "a")
		s.Streams()
		s.Exited(12, "it ended")
		want := "stream end" + strings.TrimPrefix(exit("a"), "error")
		expect(t, r, "log outside=true", "deliver a", "log outside=false", "log outside=false", want, "report 2ns init 0ns status 3 Runtime.ExitError")
	})
	t.Run("while idle", func(t *testing.T) {
		s, r := ready(t)
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true")
		if s.State().Name() != "idle" {
			t.Error(s.State().Name())
		}
	})
	t.Run("by talking nonsense", func(t *testing.T) {
		s, r := ready(t)
		mustInvoke(t, s, 10, "a")
		s.BrokeProtocol(11)
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true", "deliver a", "kill", "log outside=false", "log outside=false", exit("a"), "report 2ns init 0ns status 3 Runtime.ExitError")
	})
	t.Run("by the memory limit", func(t *testing.T) {
		s, r := ready(t)
		mustInvoke(t, s, 10, "a")
		s.OverMemory(11)
		s.OverMemory(11)
		s.Exited(12, "it ended")
		expect(t, r, "log outside=true", "deliver a", "kill", "log outside=false", "log outside=false", exit("a"), "report 2ns init 0ns status 3 Runtime.ExitError")
	})
}

// What a gateway that an environment dials again learns from HELLO.
func TestTheNamesOfStates(t *testing.T) {
	named := func(s *Slot, name string) {
		t.Helper()
		if s.State().Name() != name {
			t.Error(s.State().Name(), "is not", name)
		}
	}
	s := New(0, &recorder{})
	named(s, "generic")
	_ = s.Specialize(spec)
	named(s, "initializing") // its code is being fetched
	s.Prepared(1, link.Phases{}, nil)
	named(s, "initializing")
	s.Ready(2)
	named(s, "idle")
	mustInvoke(t, s, 3, "a")
	named(s, "busy")
	s.TimePassed(3 * second)
	named(s, "busy") // its runtime is being ended
	s.Exited(4*second, "it ended")
	named(s, "idle")
	mustInvoke(t, s, 5*second, "b")
	named(s, "busy") // its runtime is being started
	s = New(0, &recorder{})
	_ = s.Specialize(spec)
	s.Prepared(1, link.Phases{}, &Trouble{"Runtime.InvalidZipFile", "why"})
	named(s, "idle") // it answers every INVOKE with that
}

func TestCodeThatCanNotBeHad(t *testing.T) {
	r := &recorder{}
	s := New(0, r)
	_ = s.Specialize(spec)
	mustInvoke(t, s, 1, "early")
	s.Prepared(2, link.Phases{}, &Trouble{"Runtime.InvalidZipFile", "why"})
	object := `{"errorType":"Runtime.InvalidZipFile","errorMessage":"RequestId: early Error: why"}`
	expect(t, r, "prepare", "init error Runtime.InvalidZipFile 0ns", "log outside=false", "error Runtime.InvalidZipFile "+object,
		"report 0ns init 0ns status 3 Runtime.InvalidZipFile")
	mustInvoke(t, s, 3, "early")
	expect(t, r, "log outside=false", "error Runtime.InvalidZipFile "+object, "report 0ns init 0ns status 3 Runtime.InvalidZipFile")
}

func TestARuntimeThatCanNotBeStarted(t *testing.T) {
	s, r := started(t)
	s.Unstartable(1, Trouble{"Runtime.InvalidEntrypoint", "why"})
	mustInvoke(t, s, 2, "a")
	s.Unstartable(3, Trouble{"Runtime.InvalidEntrypoint", "why"})
	expect(t, r, "init error Runtime.InvalidEntrypoint 1ns", "log outside=true", "start", "log outside=false",
		`error Runtime.InvalidEntrypoint {"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: a Error: why"}`,
		"report 0ns init 1ns status 3 Runtime.InvalidEntrypoint")
}

func TestAnEarlyInvocationOfARuntimeThatCanNotBeStarted(t *testing.T) {
	s, r := started(t)
	mustInvoke(t, s, 1, "a")
	s.Unstartable(2, Trouble{"Runtime.InvalidEntrypoint", "why"})
	expect(t, r, "init error Runtime.InvalidEntrypoint 2ns", "log outside=true", "start")
}

func TestFramesThatTheGatewayMayNotSend(t *testing.T) {
	if New(0, &recorder{}).Invoke(1, invoke("a")) == nil {
		t.Error("INVOKE before SPECIALIZE")
	}
	s, _ := ready(t)
	if s.Specialize(spec) == nil {
		t.Error("a second SPECIALIZE")
	}
	if s.Invoke(1, link.Frame{Body: []byte("short")}) == nil {
		t.Error("a malformed INVOKE")
	}
	mustInvoke(t, s, 1, "a")
	if s.Invoke(2, invoke("b")) == nil {
		t.Error("two invocations")
	}
	s.TimePassed(3 * second)
	if s.Invoke(4*second, invoke("c")) == nil {
		t.Error("an invocation while another's runtime is being ended")
	}
	s, _ = started(t)
	if s.Invoke(1, link.Frame{Body: []byte("short")}) == nil {
		t.Error("a malformed INVOKE that would have to wait")
	}
	mustInvoke(t, s, 1, "a")
	if s.Invoke(2, invoke("b")) == nil {
		t.Error("two invocations wait")
	}
}

// The invariants S1, S2 and S4, over random histories of a runtime that may do anything at any time.
func TestInvariantsOverRandomHistories(t *testing.T) {
	for seed := range int64(400) {
		random := rand.New(rand.NewSource(seed))
		s, r := started(t)
		asked, alive, delivered := 0, true, 0
		var history []string
		for step := range 200 {
			now := int64(step) * second / 3
			event := random.Intn(9)
			switch event {
			case 0:
				if len(s.Running()) == 0 && s.waiting == nil {
					asked++
					mustInvoke(t, s, now, fmt.Sprint(asked))
				}
			case 1:
				s.Ready(now)
			case 2:
				s.InitFailed(now, Failure{"E", []byte("{}")})
			case 3:
				if alive {
					alive = false
					s.Exited(now, "it ended")
				}
			case 4:
				if r.wake != 0 && r.wake <= now {
					s.TimePassed(now)
				}
			case 5:
				s.Answer(response("1"), link.Success, "")
				s.Free(now)
			case 6:
				s.OverMemory(now)
			case 7:
				if s.MayAnswer() {
					s.Streams()
				}
			}
			for _, note := range r.notes {
				if note == "start" {
					alive = true
				}
				if strings.HasPrefix(note, "deliver") {
					delivered++
				}
			}
			history = append(history, r.notes...)
			r.notes = nil
		}
		answers, reports := 0, 0
		for _, note := range history {
			switch word, _, _ := strings.Cut(note, " "); word {
			case "response", "error", "stream":
				if answers++; answers != reports+1 {
					t.Fatalf("seed %d: an answer that nobody waits for: %v", seed, history)
				}
			case "report":
				if reports++; reports != answers {
					t.Fatalf("seed %d: a report without an answer: %v", seed, history)
				}
			}
		}
		if open := asked - reports; open < 0 || open > 1 || delivered > asked {
			t.Fatalf("seed %d: %d asked, %d delivered, %d reported", seed, asked, delivered, reports)
		}
	}
}
