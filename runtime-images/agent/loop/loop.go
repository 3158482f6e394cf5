// Package loop waits for descriptors and timers on one thread: one epoll, no goroutine between an event and its handler.
//
// Level-triggered. Everything registered is called on the goroutine that runs the loop; Post is the one way in from elsewhere.
package loop

import (
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	// sliceMs is how long a wait may be that Go's scheduler isn't told of: its other goroutines, such as the one that takes signals, get
	// the processor in between.
	sliceMs = 10
	// quietMax is how many slices in a row may bring nothing before the loop is at rest. While it isn't, Go's monitor thread looks after it
	// every 10 ms; to come back from rest wakes that thread up, which then looks every 20 us for a while. Both cost the same after 0.2 s.
	quietMax = 10
	// yieldAfter waits a busy loop lets other goroutines run. The monitor thread interrupts with a signal whoever has not done so for 10 ms.
	yieldAfter = 8
)

const (
	Readable uint32 = syscall.EPOLLIN
	Writable uint32 = syscall.EPOLLOUT
	// Ended is told whether asked for or not.
	Ended uint32 = syscall.EPOLLHUP | syscall.EPOLLERR
)

// Handler is told what its descriptor is ready for.
type Handler interface{ Ready(events uint32) }

// HandlerFunc is a function as Handler.
type HandlerFunc func(events uint32)

func (f HandlerFunc) Ready(events uint32) { f(events) }

var started = time.Now()

// Now is the time in nanoseconds on a clock that is never set.
func Now() int64 { return int64(time.Since(started)) }

// Timer calls Fire once at the time it is set to. Made by NewTimer.
type Timer struct {
	at   int64
	Fire func()
}

// Set arms the timer for a time of Now's clock; 0 disarms it.
func (t *Timer) Set(at int64) { t.at = at }

// Loop is the one owner of handlers and timers.
type Loop struct {
	epoll    int
	wakeup   int
	handlers map[int32]Handler
	timers   []*Timer
	settled  []func()
	stopped  bool
	quiet    int // waits in a row that brought nothing
	busy     int // waits since other goroutines could run
	beside   int // works under way beside the loop
	events   []syscall.EpollEvent
	batch    int // how many of events the last wait brought

	mutex  sync.Mutex
	posted []func()
}

// New makes a loop with nothing registered.
func New() (*Loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakeup, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return nil, errno
	}
	l := &Loop{epoll: epoll, wakeup: int(wakeup), handlers: map[int32]Handler{}}
	return l, l.Add(l.wakeup, Readable, HandlerFunc(func(uint32) { l.runPosted() }))
}

// Add registers a descriptor that isn't registered yet.
func (l *Loop) Add(fd int, events uint32, handler Handler) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(fd)}
	if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
		return err
	}
	l.handlers[int32(fd)] = handler
	return nil
}

// Change says what a registered descriptor is waited for from now on; 0 leaves Ended.
func (l *Loop) Change(fd int, events uint32) {
	event := syscall.EpollEvent{Events: events, Fd: int32(fd)}
	_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, fd, &event)
}

// Remove forgets a descriptor. The caller closes it.
func (l *Loop) Remove(fd int) {
	_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_DEL, fd, nil)
	delete(l.handlers, int32(fd))
}

// NewTimer makes a timer, not armed. Timers live as long as the loop.
func (l *Loop) NewTimer(fire func()) *Timer {
	timer := &Timer{Fire: fire}
	l.timers = append(l.timers, timer)
	return timer
}

// Brought says whether the wait that brought the events at hand found this descriptor ready too. Then what was ready before the others is
// not missed by asking this first, without a system call.
func (l *Loop) Brought(fd int) bool {
	for _, event := range l.events[:l.batch] {
		if event.Fd == int32(fd) {
			return true
		}
	}
	return false
}

// OnSettled has a function called whenever all events at hand are handled, before the loop waits again.
func (l *Loop) OnSettled(f func()) { l.settled = append(l.settled, f) }

// Post has a function called on the loop. Safe from any goroutine.
func (l *Loop) Post(f func()) {
	l.mutex.Lock()
	l.posted = append(l.posted, f)
	l.mutex.Unlock()
	one := [8]byte{1}
	_, _ = syscall.Write(l.wakeup, one[:])
}

// Beside does work on a goroutine of its own, and then calls done on the loop.
func (l *Loop) Beside(work, done func()) {
	l.beside++
	go func() {
		work()
		l.Post(func() {
			l.beside--
			done()
		})
	}()
}

// Stop ends Run after the events at hand.
func (l *Loop) Stop() { l.stopped = true }

// Run handles events until Stop.
func (l *Loop) Run() error {
	l.events = make([]syscall.EpollEvent, 64)
	for !l.stopped {
		n, err := l.await(l.events)
		if err != nil && err != syscall.EINTR {
			return err
		}
		l.batch = n
		for _, event := range l.events[:n] {
			// A handler may have removed another descriptor whose event is still in this batch.
			if handler := l.handlers[event.Fd]; handler != nil {
				handler.Ready(event.Events)
			}
		}
		l.fireTimers()
		for _, f := range l.settled {
			f()
		}
	}
	return nil
}

// await waits for events. While they keep coming it waits without telling Go's scheduler, which would take the processor away and give it
// back around every wait: that costs more than the events. At rest, and while work beside the loop needs the processor, it waits the usual
// way: then waiting costs nothing.
func (l *Loop) await(events []syscall.EpollEvent) (int, error) {
	patience := l.patience()
	if l.quiet >= quietMax || l.beside > 0 {
		n, err := syscall.EpollWait(l.epoll, events, patience)
		if n > 0 {
			l.quiet = 0
		}
		return max(n, 0), err
	}
	if l.busy++; l.busy >= yieldAfter {
		l.busy = 0
		runtime.Gosched()
	}
	if patience < 0 || patience > sliceMs {
		patience = sliceMs
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_WAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(patience), 0, 0)
	if errno == 0 && n > 0 {
		l.quiet = 0
		return int(n), nil
	}
	l.quiet++
	if errno != 0 {
		runtime.Gosched() // a signal, perhaps for the goroutine that takes them
		return 0, errno
	}
	return 0, nil
}

// patience is the time until the next timer for epoll: milliseconds, rounded up so that no timer fires early.
func (l *Loop) patience() int {
	var next int64
	for _, timer := range l.timers {
		if timer.at != 0 && (next == 0 || timer.at < next) {
			next = timer.at
		}
	}
	if next == 0 {
		return -1
	}
	return int(max(0, (next-Now()+int64(time.Millisecond)-1)/int64(time.Millisecond)))
}

func (l *Loop) fireTimers() {
	var now int64
	for _, timer := range l.timers {
		if timer.at == 0 {
			continue
		}
		if now == 0 {
			now = Now()
		}
		if timer.at <= now {
			timer.at = 0
			timer.Fire()
		}
	}
}

func (l *Loop) runPosted() {
	var count [8]byte
	_, _ = syscall.Read(l.wakeup, count[:])
	l.mutex.Lock()
	posted := l.posted
	l.posted = nil
	l.mutex.Unlock()
	for _, f := range posted {
		f()
	}
}
