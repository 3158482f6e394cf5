package supervisor

import (
	"syscall"
	"unsafe"

	"lambent.dev/agent/loop"
)

// output is the pipe that a runtime's stdout and stderr are. What is in it and can't be sent on stays there: the pipe being full is what
// holds a flood back.
type output struct {
	loop   *loop.Loop
	uplink *Uplink
	fd     int
	paused bool
	flags  func() uint8
	slot   uint16
}

// openOutput makes a pipe. The second value is the end that the runtime writes to.
func openOutput(l *loop.Loop, uplink *Uplink, slot uint16, flags func() uint8) (*output, int, error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	_ = syscall.SetNonblock(ends[0], true)
	o := &output{loop: l, uplink: uplink, fd: ends[0], flags: flags, slot: slot}
	return o, ends[1], l.Add(o.fd, loop.Readable, o)
}

// Ready implements loop.Handler.
func (o *output) Ready(events uint32) {
	if o.uplink.Crowded() {
		o.pause(true)
		return
	}
	if o.uplink.Log(o.fd, logChunkBytes, o.flags(), o.slot) == 0 && events&loop.Ended != 0 {
		o.close()
	}
}

// catchUp sends what was in the pipe when the events at hand were found: all that was written before them. The kernel tells of a
// write when it is done, so a pipe that it did not tell of was empty.
func (o *output) catchUp(flags uint8) {
	if o.paused || o.fd >= 0 && o.loop.Brought(o.fd) {
		o.flush(flags)
	}
}

// flush sends everything that is in the pipe now, and not what comes while it does.
func (o *output) flush(flags uint8) {
	if o.fd < 0 || o.uplink.Log(o.fd, logChunkBytes, flags, o.slot) == 0 {
		return
	}
	for left := o.inside(); left > 0; {
		n := o.uplink.Log(o.fd, left, flags, o.slot)
		if n == 0 {
			return
		}
		left -= n
	}
}

func (o *output) inside() int {
	var bytes int32
	_, _, _ = syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(o.fd), syscall.TIOCINQ, uintptr(unsafe.Pointer(&bytes)))
	return int(bytes)
}

func (o *output) pause(paused bool) {
	if o.fd < 0 || o.paused == paused {
		return
	}
	o.paused = paused
	if paused {
		o.loop.Remove(o.fd) // and not only Change: a hang-up would be told again and again
	} else {
		_ = o.loop.Add(o.fd, loop.Readable, o)
	}
}

func (o *output) close() {
	if o.fd < 0 {
		return
	}
	if !o.paused {
		o.loop.Remove(o.fd)
	}
	syscall.Close(o.fd)
	o.fd = -1
}
