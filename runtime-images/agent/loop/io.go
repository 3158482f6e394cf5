package loop

import (
	"syscall"
	"unsafe"
)

// Read reads from a descriptor that never blocks. Go's scheduler isn't told, as for waiting: see await.
func Read(fd int, into []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Write writes to a descriptor that never blocks. It answers the bytes taken, 0 with an error.
func Write(fd int, from []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Yield lets another process have this processor for a moment, if one wants it.
func Yield() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
