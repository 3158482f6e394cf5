package supervisor

import (
	"slices"
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
)

const (
	pauseMin       = 50e6
	pauseMax       = 1000e6
	congestedBytes = 128 << 10
	keptBytes      = 256 << 10
	logChunkBytes  = 32 << 10
	heldBytesMax   = 64 << 10
)

type phase uint8

const (
	apart phase = iota
	connecting
	greeting
	joined
	closed
)

// Uplink is the connection to the gateway, dialled again when it is lost. Frames wait in it, whole, until a gateway takes them.
type Uplink struct {
	loop      *loop.Loop
	addresses []address
	dialled   int // which of them
	fd        int
	phase     phase
	waiting   uint32 // the events that fd is registered for
	reader    link.Reader
	hello     []byte

	out   []byte // frames, from the first that is not wholly sent
	sent  int    // bytes of out that are sent
	first int    // where the frame begins that is being sent
	held  int    // the length of out up to which it waits for another frame; 0: it doesn't

	redial     *loop.Timer
	pause      int64
	patience   int64
	abandonAt  int64
	greet      func() []byte
	welcomed   func(body []byte)
	receive    func(link.Frame) error
	parted     func() // a gateway that had the agent is lost
	abandoned  func()
	eased      func()
	wasCrowded bool
}

func newUplink(l *loop.Loop, to []address, patience int64) *Uplink {
	u := &Uplink{loop: l, addresses: to, fd: -1, patience: patience, pause: pauseMin}
	u.redial = l.NewTimer(u.dial)
	l.OnSettled(u.flush)
	return u
}

// Open dials for the first time.
func (u *Uplink) Open() {
	u.abandonAt = loop.Now() + u.patience
	u.dial()
}

// Send queues a whole frame; it leaves when all events at hand are handled.
func (u *Uplink) Send(frame []byte) { u.out = append(u.out, frame...) }

// Hold lets what is queued leave with the frame that follows it: an answer with its report, since the gateway passes it on only then. What
// is large leaves at once.
func (u *Uplink) Hold() {
	if len(u.out)-u.sent <= heldBytesMax {
		u.held = len(u.out)
	}
}

// Append queues a frame.
func (u *Uplink) Append(kind link.Type, slot uint16, body []byte) {
	u.out = link.Append(u.out, kind, 0, slot, body)
}

// Log queues what can be read from a descriptor at once as a LOG frame. It answers the number of bytes, 0 at the end of the
// stream or if there is nothing.
func (u *Uplink) Log(fd int, max int, flags uint8, slot uint16) int {
	start := len(u.out)
	room := min(max, logChunkBytes)
	u.out = slices.Grow(u.out, link.HeaderBytes+room)
	body := start + link.HeaderBytes
	n, err := loop.Read(fd, u.out[body:body+room])
	if err != nil || n <= 0 {
		return 0
	}
	link.AppendHeader(u.out[:start], n, link.Log, flags, slot)
	u.out = u.out[:body+n]
	return n
}

// Crowded says that so much waits to be sent that nothing should be added that can wait where it is.
func (u *Uplink) Crowded() bool {
	u.wasCrowded = len(u.out)-u.sent > congestedBytes
	return u.wasCrowded
}

// Redirect leaves this gateway for another. Where to look if that one is gone stays as it was.
func (u *Uplink) Redirect(to address) {
	others := u.addresses
	u.addresses = []address{to}
	if len(others) > 1 {
		u.addresses = append(u.addresses, others[len(others)-1])
	}
	u.dialled = 0
	u.lost()
}

// Belongs tells the gateway that has the agent or is dialled now and, if there is one, where to look if that one is gone.
func (u *Uplink) Belongs() []address {
	return append([]address{u.addresses[u.dialled]}, u.addresses[1:]...)
}

// Joined says that a gateway has the agent.
func (u *Uplink) Joined() bool { return u.phase == joined }

// Holds says that a frame of this type waits to be sent for a slot.
func (u *Uplink) Holds(kind link.Type, slot uint16) bool {
	for rest := u.out[u.first:]; len(rest) > 0; rest = rest[link.FrameBytes(rest):] {
		if k, s := link.TypeAndSlot(rest); k == kind && s == slot {
			return true
		}
	}
	return false
}

// Close gives the connection up for good, after a last try to send what waits.
func (u *Uplink) Close() {
	u.held = 0
	u.flush()
	if u.fd >= 0 {
		u.drop()
	}
	u.redial.Set(0)
	u.phase = closed
}

func (u *Uplink) dial() {
	address := u.addresses[u.dialled]
	address.resolve(u.loop, func(to syscall.Sockaddr, err error) {
		if u.phase == closed {
			return
		}
		if err == nil {
			err = u.connect(address, to)
		}
		if err != nil {
			u.lost()
		}
	})
}

func (u *Uplink) connect(address address, to syscall.Sockaddr) error {
	fd, err := address.socket()
	if err != nil {
		return err
	}
	err = syscall.Connect(fd, to)
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(fd)
		return err
	}
	u.fd = fd
	u.reader.Reset()
	u.waiting = loop.Writable
	u.phase = connecting
	return u.loop.Add(fd, u.waiting, u)
}

// Ready implements loop.Handler.
func (u *Uplink) Ready(events uint32) {
	if u.phase == connecting {
		if code, err := syscall.GetsockoptInt(u.fd, syscall.SOL_SOCKET, syscall.SO_ERROR); err != nil || code != 0 {
			u.lost()
			return
		}
		u.phase = greeting
		u.hello = u.greet()
	}
	if u.phase == greeting && len(u.hello) > 0 {
		n, err := loop.Write(u.fd, u.hello)
		if err != nil && err != syscall.EAGAIN {
			u.lost()
			return
		}
		u.hello = u.hello[n:]
		u.wait(len(u.hello) > 0)
	}
	if events&(loop.Readable|loop.Ended) != 0 {
		u.read()
	}
}

func (u *Uplink) read() {
	n, err := loop.Read(u.fd, u.reader.Space())
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if err != nil || n == 0 {
		u.lost()
		return
	}
	u.reader.Filled(n)
	connection := u.fd
	for u.fd == connection {
		frame, ok, err := u.reader.Next()
		if err == nil && !ok {
			return
		}
		if err == nil {
			err = u.take(frame)
		}
		if err != nil {
			complain("the gateway broke the link's protocol: " + err.Error())
			u.lost()
			return
		}
	}
}

func (u *Uplink) take(frame link.Frame) error {
	switch frame.Type {
	case link.Welcome:
		u.phase, u.pause, u.abandonAt = joined, pauseMin, 0
		u.welcomed(frame.Body)
	case link.Ping:
		if u.phase == joined {
			u.out = link.Append(u.out, link.Pong, 0, frame.Slot, nil)
			return nil
		}
		// A gateway has the HELLO and can't say yet whether it lets the agent in. That is waited for, and if it goes meanwhile it was not
		// looked for in vain.
		u.abandonAt = 0
		_, _ = loop.Write(u.fd, link.Append(nil, link.Pong, 0, frame.Slot, nil)) // a connection that takes no more is lost soon
	case link.Pong:
	default:
		return u.receive(frame)
	}
	return nil
}

// lost dials again after a pause that grows, until patience is over.
func (u *Uplink) lost() {
	now := loop.Now()
	wasJoined := u.phase == joined
	if u.fd >= 0 {
		u.drop()
	}
	if wasJoined {
		u.parted()
	} else {
		u.dialled = (u.dialled + 1) % len(u.addresses)
	}
	if u.abandonAt == 0 {
		u.abandonAt = now + u.patience
	}
	if now >= u.abandonAt {
		u.abandoned()
		return
	}
	u.redial.Set(min(now+u.pause, u.abandonAt))
	u.pause = min(2*u.pause, pauseMax)
}

func (u *Uplink) drop() {
	u.loop.Remove(u.fd)
	syscall.Close(u.fd)
	u.fd, u.phase = -1, apart
	u.sent = u.first
}

func (u *Uplink) flush() {
	if u.phase != joined || len(u.out) == u.sent || len(u.out) == u.held {
		return
	}
	u.held = 0
	n, err := loop.Write(u.fd, u.out[u.sent:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		n = 0
	case err != nil:
		u.lost()
		return
	}
	u.sent += n
	if u.sent == len(u.out) {
		u.out = u.out[:0]
		if cap(u.out) > keptBytes {
			u.out = nil
		}
		u.sent, u.first = 0, 0
	} else {
		u.forget()
	}
	u.wait(u.sent < len(u.out))
	if u.wasCrowded && !u.Crowded() {
		u.eased()
	}
}

// forget drops the frames that are wholly sent. What is sent in part is kept: a lost connection needs it from its start.
func (u *Uplink) forget() {
	for {
		size := link.FrameBytes(u.out[u.first:])
		if u.first+size > u.sent {
			break
		}
		u.first += size
	}
	if u.first >= keptBytes {
		u.out = u.out[:copy(u.out, u.out[u.first:])]
		u.sent -= u.first
		u.first = 0
	}
}

func (u *Uplink) wait(forSpace bool) {
	events := loop.Readable
	if forSpace {
		events |= loop.Writable
	}
	if events != u.waiting {
		u.waiting = events
		u.loop.Change(u.fd, events)
	}
}
