package process

import (
	"syscall"
	"unsafe"
)

const rlimitLocks = 10

// Mark makes a process and all that it will start recognisable, whoever their parents are by then. The mark is the limit of file locks: it
// is handed on at every fork and exec, only root could raise it, and since Linux 2.4 it limits nothing.
func (p *Process) Mark(mark uint64) {
	value := [2]uint64{mark, mark}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.PID), rlimitLocks, uintptr(unsafe.Pointer(&value)), 0, 0, 0)
}

// KillMarked ends what a process with this mark has left behind: this one has become its parent.
func KillMarked(mark uint64, spared map[int]bool) {
	kill(spared, func(pid int) bool { return markOf(pid) == mark })
}

func markOf(pid int) uint64 {
	var value [2]uint64
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), rlimitLocks, 0, uintptr(unsafe.Pointer(&value)), 0, 0)
	return value[0]
}
