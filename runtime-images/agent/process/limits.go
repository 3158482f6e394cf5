package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	filesMax            = 1024
	rlimitTasks         = 6
	prSetChildSubreaper = 36
)

// BecomeSubreaper makes this process the parent of every descendant whose own parent has ended, as PID 1 is anyway.
func BecomeSubreaper() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
}

// LimitFiles sets Lambda's limit of open files for this process and all it starts ("Lambda quotas").
func LimitFiles() {
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: filesMax, Max: filesMax})
}

// LimitTasks is for machines without cgroups: the kernel counts a user's processes, not an environment's, so that what already runs
// is added to Lambda's limit. Does nothing for root, whom the kernel does not count.
func (p *Process) LimitTasks() {
	if os.Geteuid() == 0 {
		return
	}
	limit := uint64(tasksMax + tasksRunning())
	value := [2]uint64{limit, limit}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.PID), rlimitTasks, uintptr(unsafe.Pointer(&value)), 0, 0, 0)
}

// tasksRunning is the number of threads on the machine: the fourth field of loadavg is "running/all".
func tasksRunning() int {
	text, _ := os.ReadFile("/proc/loadavg")
	words := strings.Fields(string(text))
	if len(words) < 4 {
		return 0
	}
	_, all, _ := strings.Cut(words[3], "/")
	number, _ := strconv.Atoi(all)
	return number
}
