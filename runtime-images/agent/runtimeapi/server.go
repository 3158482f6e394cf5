package runtimeapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
)

// connectionsMax bounds what a runtime may open; the official clients need two.
const connectionsMax = 128

// Environment is told what the runtime says.
type Environment interface {
	// Ready: the runtime has initialised and asks for its first invocation.
	Ready()
	// Free: the runtime asks for the next invocation.
	Free()
	// InitFailed: the runtime gives its init up.
	InitFailed(errorType string, object []byte)
	// Respond takes a whole response: a RESPONSE frame whose header is still to be filled in.
	Respond(frame []byte)
	// Fail takes the error that an invocation ends with.
	Fail(errorType string, object []byte)
	// TooLarge: the response is above the limit.
	TooLarge()
	// StreamStart, StreamChunk and StreamEnd take a response in parts. An empty error type is a good end.
	StreamStart(contentType []byte)
	StreamChunk(data []byte)
	StreamEnd(errorType string, object []byte)
	// Crowded says that no chunk should be taken now; Resume will be called.
	Crowded() bool
}

// Server is the Runtime API of one environment. All state of the runtime is here; connections only carry.
type Server struct {
	loop        *loop.Loop
	environment Environment
	fd          int
	port        int
	bytesMax    int64
	streamMax   int64

	state   State
	poll    *connection // waits for an invocation
	invoke  []byte      // the INVOKE in flight, whole
	id      []byte
	streams bool // the caller of the invocation in flight takes a stream
	open    map[*connection]struct{}
}

// Listen starts a server on a free port of the loopback interface. Until Begin it refuses everything.
func Listen(l *loop.Loop, environment Environment, bytesMax, streamMax int64) (*Server, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = syscall.Listen(fd, connectionsMax)
	}
	name, failed := syscall.Getsockname(fd)
	if err == nil {
		err = failed
	}
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	s := &Server{
		loop: l, environment: environment, fd: fd, port: name.(*syscall.SockaddrInet4).Port,
		bytesMax: bytesMax, streamMax: streamMax, open: map[*connection]struct{}{},
	}
	return s, l.Add(fd, loop.Readable, loop.HandlerFunc(s.accept))
}

// Address is the value of AWS_LAMBDA_RUNTIME_API.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Begin says that a new runtime has been started.
func (s *Server) Begin() { s.state = Started }

// End says that the runtime is gone: its connections are nobody's.
func (s *Server) End() {
	s.state, s.invoke, s.id, s.poll = Closed, nil, nil, nil
	for c := range s.open {
		c.close()
	}
}

// Close ends the runtime's connections, and there will be no other.
func (s *Server) Close() {
	s.End()
	s.loop.Remove(s.fd)
	syscall.Close(s.fd)
}

// Deliver gives the runtime an invocation.
func (s *Server) Deliver(invoke link.Frame) {
	s.invoke = append(s.invoke[:0], invoke.Raw...)
	head, _, err := link.ParseInvoke(s.invoke[link.HeaderBytes:])
	if err != nil {
		return // was parsed when it came
	}
	s.id = head.RequestID
	s.streams = invoke.Flags&link.InvokeStream != 0
	if poll := s.poll; poll != nil {
		s.poll = nil
		s.sendEvent(poll)
	}
}

// Resume goes on with streams that were held back.
func (s *Server) Resume() {
	for c := range s.open {
		c.resume()
	}
}

func (s *Server) accept(uint32) {
	fd, _, err := syscall.Accept4(s.fd, syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
	if err != nil {
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	c := &connection{server: s, fd: fd}
	if len(s.open) >= connectionsMax || s.loop.Add(fd, loop.Readable, c) != nil {
		syscall.Close(fd)
		return
	}
	s.open[c] = struct{}{}
}

var (
	prefix   = []byte("/2018-06-01/")
	methodOf = map[string]string{
		"ping": "GET", "runtime/invocation/next": "GET", "runtime/init/error": "POST", "response": "POST", "error": "POST",
	}
)

// route names what a path asks for, and the id in it.
func route(path []byte) (name string, id []byte) {
	rest, found := bytes.CutPrefix(path, prefix)
	if !found {
		return "", nil
	}
	if invocation, found := bytes.CutPrefix(rest, []byte("runtime/invocation/")); found {
		id, action, found := bytes.Cut(invocation, []byte("/"))
		if found && len(id) > 0 && (string(action) == "response" || string(action) == "error") {
			return string(action), id
		}
	}
	switch name := string(rest); name {
	case "ping", "runtime/invocation/next", "runtime/init/error":
		return name, nil
	default:
		return "", nil
	}
}

// begin decides over a request by its head: the reply if it is settled already, and what becomes of the body.
func (s *Server) begin(c *connection, head Head) (reply string) {
	name, id := route(head.Path)
	method, known := methodOf[name]
	switch {
	case !known:
		return notFound
	case string(head.Method) != method:
		return noMethod
	}
	switch name {
	case "ping":
		return pong
	case "runtime/invocation/next":
		return s.next(c)
	case "runtime/init/error":
		return s.allow(c, InitError, s.bytesMax)
	case "response":
		return s.beginResponse(c, head, id)
	default:
		if reply := s.allow(c, InvocationErrorResponse, s.bytesMax); reply != "" {
			return reply
		}
		return s.own(c, id)
	}
}

func (s *Server) beginResponse(c *connection, head Head, id []byte) string {
	if reply := s.allow(c, InvocationResponse, s.bytesMax); reply != "" {
		return reply
	}
	if reply := s.own(c, id); reply != "" {
		return reply
	}
	switch string(head.ResponseMode) {
	case "", "buffered":
	case "streaming":
		if s.streams {
			c.streaming, c.bytesMax = true, s.streamMax
			s.state = InvocationResponse
			s.environment.StreamStart(head.ContentType)
		}
	default:
		c.call = Closed
		return invalidResponseMode
	}
	return ""
}

func (s *Server) allow(c *connection, call Call, bytesMax int64) string {
	if !s.state.Allows(call) {
		return notAllowed(s.state, call)
	}
	c.call, c.bytesMax = call, bytesMax
	return ""
}

func (s *Server) own(c *connection, id []byte) string {
	if len(s.id) == 0 || !bytes.Equal(id, s.id) {
		c.call = Closed
		return invalidRequestID
	}
	return ""
}

// next answers with the invocation in flight, or lets the runtime wait for one.
func (s *Server) next(c *connection) string {
	before := s.state
	if !before.Allows(Ready) {
		return notAllowed(before, Ready)
	}
	s.state = Ready
	c.waits = true
	if before == Ready && len(s.id) > 0 {
		s.sendEvent(c) // asked again: a client that lost the first reply
		return ""
	}
	s.poll = c
	if before == Started {
		s.environment.Ready()
	} else {
		s.id = nil
		if cap(s.invoke) > keptBytes {
			s.invoke = nil
		}
		s.environment.Free()
	}
	return ""
}

func (s *Server) sendEvent(c *connection) {
	head, payload, err := link.ParseInvoke(s.invoke[link.HeaderBytes:])
	if err != nil {
		return // was parsed when it came
	}
	c.reply(appendEvent(c.scratch[:0], head, len(payload)), payload)
}

// finish takes a request whose body is complete. The frame is the body behind room for a frame's header.
func (s *Server) finish(c *connection, head Head, frame []byte, body *Body) string {
	call := c.call
	switch call {
	case Closed:
		return ""
	case InitError:
		if !s.state.Allows(InitError) {
			return notAllowed(s.state, call)
		}
		s.state = InitError
		s.environment.InitFailed(errorOf(head.ErrorType, frame[link.HeaderBytes:], "Runtime.Unknown"))
		return accepted
	case InvocationErrorResponse:
		if !s.state.Allows(call) {
			return notAllowed(s.state, call)
		}
		s.state = ResponseSent
		s.environment.Fail(errorOf(head.ErrorType, frame[link.HeaderBytes:], "Function.Unknown"))
		return accepted
	}
	if !c.streaming && !s.state.Allows(call) {
		return notAllowed(s.state, call)
	}
	s.state = ResponseSent
	errorType, object := trailers(body)
	switch {
	case c.streaming:
		s.environment.StreamEnd(errorType, object)
	case errorType != "":
		s.environment.Fail(errorType, object)
	default:
		s.environment.Respond(frame)
	}
	return accepted
}

// overflow takes a request whose body turned out too large.
func (s *Server) overflow(c *connection) string {
	if c.call == InvocationResponse {
		s.state = ResponseSent
		if c.streaming {
			s.environment.StreamEnd("Function.ResponseSizeTooLarge", streamTooLarge(s.streamMax))
		} else {
			s.environment.TooLarge()
		}
	}
	c.call = Closed
	return tooLarge(c.bytesMax)
}

// cut takes a stream whose connection was lost before its end.
func (s *Server) cut(c *connection) {
	if c.streaming && c.call == InvocationResponse && s.state == InvocationResponse {
		s.state = ResponseSent
		object := []byte(`{"errorType":"Runtime.TruncatedResponse","errorMessage":"Response stream ended before it was complete"}`)
		s.environment.StreamEnd("Runtime.TruncatedResponse", object)
	}
}

func streamTooLarge(limit int64) []byte {
	message := "Response payload size exceeded maximum allowed payload size (" + strconv.FormatInt(limit, 10) + " bytes)."
	return []byte(`{"errorMessage":"` + message + `","errorType":"Function.ResponseSizeTooLarge"}`)
}

// errorOf is the type of an error as callers and logs know it. The official clients put only "Unhandled" into the header.
func errorOf(header, object []byte, unknown string) (string, []byte) {
	var told struct {
		ErrorType string `json:"errorType"`
	}
	name := string(header)
	if name == "" || name == "Unhandled" {
		_ = json.Unmarshal(object, &told) // what isn't JSON tells none
		name = told.ErrorType
	}
	if name == "" {
		name = unknown
	}
	if len(object) == 0 {
		object = []byte(`{"errorType":` + strconv.Quote(name) + `}`)
	}
	return name, object
}
