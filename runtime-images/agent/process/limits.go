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
	prSetDumpable       = 4
	prSetChildSubreaper = 36
)

// HideMemory keeps this process's memory and environment from processes of the same user, of which function code is one.
func HideMemory() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0)
}

// Rename gives this process the name that lists of processes show.
func Rename(name string) {
	pid := strconv.Itoa(os.Getpid())
	_ = os.WriteFile("/proc/self/task/"+pid+"/comm", []byte(name), 0) // where a hidden process may write too
}

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
