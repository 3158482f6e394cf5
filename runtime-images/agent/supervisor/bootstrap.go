package supervisor

import (
	"syscall"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
)

// bootstrap is the agent's end of the socket to a runtime that speaks the link's frames.
type bootstrap struct {
	loop    *loop.Loop
	fd      int
	reader  link.Reader
	unsent  []byte
	receive func(link.Frame) error
	closed  func() // the runtime can't be talked to any more
}

// openBootstrap makes a socket pair. The second value is the runtime's end.
func openBootstrap(l *loop.Loop) (*bootstrap, int, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	_ = syscall.SetNonblock(ends[0], true)
	b := &bootstrap{loop: l, fd: ends[0]}
	return b, ends[1], l.Add(b.fd, loop.Readable, b)
}

// send writes a frame, or keeps what the socket doesn't take yet.
func (b *bootstrap) send(frame []byte) {
	if b.fd < 0 {
		return
	}
	if len(b.unsent) == 0 {
		n, err := loop.Write(b.fd, frame)
		if err != nil && err != syscall.EAGAIN && err != syscall.EINTR {
			return // its process has ended, which is told on another way
		}
		frame = frame[n:]
		if len(frame) == 0 {
			return
		}
		b.loop.Change(b.fd, loop.Readable|loop.Writable)
	}
	b.unsent = append(b.unsent, frame...)
}

// Ready implements loop.Handler.
func (b *bootstrap) Ready(events uint32) {
	if events&loop.Writable != 0 && len(b.unsent) > 0 {
		unsent := b.unsent
		b.unsent = nil
		b.loop.Change(b.fd, loop.Readable)
		b.send(unsent)
	}
	if events&(loop.Readable|loop.Ended) != 0 && !b.read() && b.fd >= 0 {
		b.close()
		b.closed()
	}
}

// finish takes all that an ended process had still said.
func (b *bootstrap) finish() {
	for b.fd >= 0 && b.read() && b.more() {
	}
}

func (b *bootstrap) more() bool {
	var one [1]byte
	n, _, err := syscall.Recvfrom(b.fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == nil && n > 0
}

// read takes what there is, once. False: nothing will come any more.
func (b *bootstrap) read() bool {
	n, err := loop.Read(b.fd, b.reader.Space())
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return true
	}
	if err != nil || n == 0 {
		return false
	}
	b.reader.Filled(n)
	for b.fd >= 0 {
		frame, ok, err := b.reader.Next()
		if err == nil && !ok {
			return true
		}
		if err == nil {
			err = b.receive(frame)
		}
		if err != nil {
			complain("the runtime broke the protocol: " + err.Error())
			return false
		}
	}
	return true
}

func (b *bootstrap) close() {
	if b.fd < 0 {
		return
	}
	b.loop.Remove(b.fd)
	syscall.Close(b.fd)
	b.fd = -1
}
