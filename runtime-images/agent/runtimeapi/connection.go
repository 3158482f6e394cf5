package runtimeapi

import (
	"encoding/base64"
	"strconv"
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
)

const (
	readBytes = 16 << 10
	keptBytes = 64 << 10
)

// connection carries requests one after another.
type connection struct {
	server *Server
	fd     int

	in      []byte
	unsent  []byte
	scratch []byte
	closing bool // after the reply under way
	held    bool // not read from: a stream waits for the link

	inBody    bool
	head      Head
	body      Body
	frame     []byte // a body that is kept, behind room for a frame's header
	received  int64
	settled   string // the reply, when it does not depend on the body
	call      Call
	bytesMax  int64
	streaming bool
	waits     bool // for an invocation
}

// Ready implements loop.Handler.
func (c *connection) Ready(events uint32) {
	if events&loop.Writable != 0 && len(c.unsent) > 0 {
		unsent := c.unsent
		c.unsent = nil
		c.write(unsent)
		c.interest()
	}
	if events&(loop.Readable|loop.Ended) != 0 && c.fd >= 0 {
		c.read()
		if c.fd >= 0 && c.inBody && c.received == 0 && !c.streaming && !c.head.Continue {
			// A client that sends head and body one after the other is often put aside when the first of them wakes us up: to let it
			// get on costs less than to be woken up again.
			loop.Yield()
			c.read()
		}
	}
}

func (c *connection) read() {
	if cap(c.in)-len(c.in) < readBytes {
		c.in = append(make([]byte, 0, max(2*len(c.in), 2*readBytes)), c.in...)
	}
	n, err := loop.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if err != nil || n == 0 {
		if c.inBody && err == nil {
			c.write([]byte(truncatedRequest))
		}
		c.close()
		return
	}
	c.in = c.in[:len(c.in)+n]
	c.advance()
}

// advance handles what has been read as far as it goes.
func (c *connection) advance() {
	at := 0
	for c.fd >= 0 && !c.waits && !c.held {
		used, err := c.step(c.in[at:])
		if err != nil {
			c.write([]byte(malformed))
			c.close()
			return
		}
		if used == 0 {
			break
		}
		at += used
	}
	if c.fd < 0 {
		return
	}
	if at == len(c.in) {
		c.in = c.in[:0]
		if cap(c.in) > keptBytes {
			c.in = nil
		}
	} else {
		c.in = c.in[:copy(c.in, c.in[at:])]
	}
}

// step takes one piece off the data: a head, or some of a body.
func (c *connection) step(data []byte) (int, error) {
	if !c.inBody {
		return c.begin(data)
	}
	if c.streaming && c.server.environment.Crowded() {
		c.held = true
		c.interest()
		return 0, nil
	}
	part, used, err := c.body.Take(data)
	if err != nil {
		return 0, err
	}
	if len(part) > 0 {
		c.take(part)
	}
	if c.body.Over() {
		c.end()
	}
	return used, nil
}

func (c *connection) begin(data []byte) (int, error) {
	head, used, err := ParseHead(data)
	if err != nil || used == 0 {
		return 0, err
	}
	c.head, c.body = head, NewBody(head)
	c.head.ErrorType = append([]byte(nil), head.ErrorType...) // the others are not needed once the body comes
	c.call, c.streaming, c.received = Closed, false, 0
	c.closing = head.Close
	c.inBody = true
	c.settled = c.server.begin(c, head)
	if c.fd < 0 {
		return used, nil
	}
	if c.call != Closed && head.Length > c.bytesMax {
		c.settled = c.server.overflow(c)
	}
	if c.body.Over() {
		c.end()
	} else if head.Continue {
		c.write([]byte(goOn))
	} else if c.keeps() && head.Length > 0 {
		c.frame = make([]byte, 0, link.HeaderBytes+head.Length)
	}
	return used, nil
}

func (c *connection) keeps() bool { return c.call != Closed && !c.streaming }

func (c *connection) take(part []byte) {
	if c.call == Closed {
		return
	}
	if c.received += int64(len(part)); c.received > c.bytesMax {
		c.frame = nil
		c.settled = c.server.overflow(c)
		return
	}
	if c.streaming {
		c.server.environment.StreamChunk(part)
		return
	}
	if c.frame == nil {
		c.frame = make([]byte, 0, link.HeaderBytes+len(part))
	}
	if len(c.frame) == 0 {
		c.frame = c.frame[:link.HeaderBytes]
	}
	c.frame = append(c.frame, part...)
}

// end replies to a request that is complete.
func (c *connection) end() {
	c.inBody = false
	reply := c.settled
	if reply == "" {
		if len(c.frame) == 0 {
			c.frame = make([]byte, link.HeaderBytes)
		}
		reply = c.server.finish(c, c.head, c.frame, &c.body)
	}
	c.frame = nil
	if reply != "" {
		c.reply([]byte(reply), nil)
	}
}

// reply sends the reply to the request under way.
func (c *connection) reply(head, body []byte) {
	c.waits = false
	if len(c.unsent) == 0 && len(body) <= keptBytes {
		c.scratch = append(append(c.scratch[:0], head...), body...)
		c.write(c.scratch)
	} else {
		c.write(head)
		c.write(body)
	}
	if c.closing && len(c.unsent) == 0 {
		c.close()
	}
}

func (c *connection) write(data []byte) {
	if c.fd < 0 || len(data) == 0 {
		return
	}
	if len(c.unsent) == 0 {
		n, err := loop.Write(c.fd, data)
		if err != nil && err != syscall.EAGAIN && err != syscall.EINTR {
			c.close()
			return
		}
		data = data[n:]
		if len(data) == 0 {
			return
		}
		defer c.interest()
	}
	c.unsent = append(c.unsent, data...)
}

func (c *connection) interest() {
	if c.fd < 0 {
		return
	}
	var events uint32
	if !c.held {
		events = loop.Readable
	}
	if len(c.unsent) > 0 {
		events |= loop.Writable
	} else if c.closing && !c.inBody && !c.waits {
		c.close()
		return
	}
	c.server.loop.Change(c.fd, events)
}

func (c *connection) resume() {
	if c.held {
		c.held = false
		c.interest()
		c.advance()
	}
}

func (c *connection) close() {
	if c.fd < 0 {
		return
	}
	c.server.loop.Remove(c.fd)
	syscall.Close(c.fd)
	c.fd = -1
	delete(c.server.open, c)
	if c.server.poll == c {
		c.server.poll = nil
	}
	if c.inBody {
		c.server.cut(c)
	}
}

// trailers are the error that a streamed response ended with, if it did.
func trailers(body *Body) (string, []byte) {
	if len(body.ErrorType) == 0 && len(body.ErrorBody) == 0 {
		return "", nil
	}
	object, err := base64.StdEncoding.DecodeString(string(body.ErrorBody))
	if err != nil {
		object = []byte(`{"errorMessage":` + strconv.Quote(string(body.ErrorBody)) + `}`)
	}
	return errorOf(body.ErrorType, object, "Function.Unknown")
}
