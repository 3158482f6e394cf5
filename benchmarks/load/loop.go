package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"
)

const (
	epollBatch  = 256
	epollPwait2 = 441 // not in package syscall; waits in nanoseconds, as a rate of thousands a second needs
	bufferBytes = 16 << 10

	brokenConnection = "broken connection"
)

// connection is one keep-alive connection; at most one request is in flight on it.
type connection struct {
	fd      int
	busy    bool
	number  int
	since   time.Time // when the request in flight was sent, or due
	unsent  []byte
	request []byte // buffer
	input   []byte // buffer, filled up to received
	filled  int
}

// Loop sends the requests and reads the answers.
type Loop struct {
	address  *net.TCPAddr
	options  Options
	requests *Requests
	tally    *Tally
	epoll    int
	byFD     map[int]*connection
	idle     []*connection
	busy     int
	sent     int
	began    time.Time
}

func newLoop(address *net.TCPAddr, options Options, requests *Requests, tally *Tally) (*Loop, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	loop := &Loop{address: address, options: options, requests: requests, tally: tally, epoll: epoll, byFD: map[int]*connection{}}
	for range options.Connections {
		if err := loop.connect(&connection{input: make([]byte, bufferBytes)}); err != nil {
			return nil, err
		}
	}
	return loop, nil
}

// run ends when everything sent is answered and nothing more is to be sent.
func (l *Loop) run() error {
	l.began = time.Now()
	end := l.began.Add(time.Duration(l.options.SecondsMax * float64(time.Second)))
	events := make([]syscall.EpollEvent, epollBatch)
	for {
		now := time.Now()
		wait := l.sendDue(now)
		if l.busy == 0 && l.finished(now) {
			return nil
		}
		if now.After(end) {
			return fmt.Errorf("%d requests without an answer after %v s", l.busy, l.options.SecondsMax)
		}
		count, err := l.wait(events, wait)
		if err != nil {
			return err
		}
		for _, event := range events[:count] {
			if err := l.ready(l.byFD[int(event.Fd)], event.Events); err != nil {
				return err
			}
		}
	}
}

func (l *Loop) wait(events []syscall.EpollEvent, most time.Duration) (int, error) {
	limit := syscall.NsecToTimespec(most.Nanoseconds())
	count, _, err := syscall.Syscall6(epollPwait2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), epollBatch,
		uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch err {
	case 0:
		return int(count), nil
	case syscall.EINTR:
		return 0, nil
	default:
		return 0, err
	}
}

// finished says that no further request will be sent.
func (l *Loop) finished(now time.Time) bool {
	if len(l.byFD) == 0 || l.options.Count > 0 && l.sent >= l.options.Count {
		return true
	}
	return l.options.Seconds > 0 && now.Sub(l.began).Seconds() >= l.options.Seconds
}

// sendDue sends what is due on idle connections and says how long to wait for events at most.
func (l *Loop) sendDue(now time.Time) time.Duration {
	for len(l.idle) > 0 && !l.finished(now) {
		since := now
		if l.options.Rate > 0 {
			since = l.began.Add(time.Duration(float64(l.sent) / l.options.Rate * float64(time.Second)))
			if since.After(now) {
				return since.Sub(now)
			}
		}
		c := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		c.busy, c.since = true, since
		c.number, c.request = l.requests.Next(c.request)
		c.unsent = c.request
		l.sent++
		l.busy++
		l.write(c)
	}
	return time.Second
}

func (l *Loop) ready(c *connection, events uint32) error {
	if c == nil {
		return nil
	}
	if events&syscall.EPOLLOUT != 0 && len(c.unsent) > 0 {
		l.write(c)
	}
	for {
		if c.filled == len(c.input) {
			c.input = append(c.input, make([]byte, len(c.input))...)
		}
		n, err := syscall.Read(c.fd, c.input[c.filled:])
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return nil
		}
		if n <= 0 {
			return l.broken(c)
		}
		c.filled += n
		response, ok, err := parseResponse(c.input[:c.filled])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		return l.answer(c, response)
	}
}

func (l *Loop) answer(c *connection, response Response) error {
	if !c.busy || c.filled != response.Bytes {
		return fmt.Errorf("%d bytes that nobody asked for", c.filled-response.Bytes)
	}
	l.tally.answered(c.number, response.Outcome(), time.Since(c.since))
	c.busy, c.filled = false, 0
	l.busy--
	if response.Close {
		return l.reconnect(c)
	}
	l.idle = append(l.idle, c)
	return nil
}

// broken counts the request in flight as lost and connects anew.
func (l *Loop) broken(c *connection) error {
	if c.busy {
		l.tally.answered(c.number, brokenConnection, time.Since(c.since))
		c.busy = false
		l.busy--
	} else {
		l.forgetIdle(c)
	}
	return l.reconnect(c)
}

func (l *Loop) forgetIdle(c *connection) {
	for i, other := range l.idle {
		if other == c {
			l.idle = append(l.idle[:i], l.idle[i+1:]...)
			return
		}
	}
}

// reconnect gives a connection up when nobody listens any more: a server may be killed, and that is then the experiment.
func (l *Loop) reconnect(c *connection) error {
	delete(l.byFD, c.fd)
	syscall.Close(c.fd)
	if l.finished(time.Now()) {
		return nil
	}
	err := l.connect(c)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

func (l *Loop) connect(c *connection) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	target := &syscall.SockaddrInet4{Port: l.address.Port}
	copy(target.Addr[:], l.address.IP.To4())
	if err := syscall.Connect(fd, target); err != nil {
		return fmt.Errorf("connect to %v: %w", l.address, err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return err
	}
	// Edge-triggered for both ways at once: no second system call to change what is waited for.
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | 1<<31, Fd: int32(fd)}
	if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
		return err
	}
	c.fd, c.filled, c.unsent = fd, 0, nil
	l.byFD[fd] = c
	l.idle = append(l.idle, c)
	return nil
}

// write sends what it can; the rest follows when the connection takes more. A failed write shows in the next read.
func (l *Loop) write(c *connection) {
	for len(c.unsent) > 0 {
		n, err := syscall.Write(c.fd, c.unsent)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		c.unsent = c.unsent[n:]
	}
}
