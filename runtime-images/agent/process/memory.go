package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

var peak = []byte("VmHWM:")

// MemoryMax is the high-water mark of the runtime's resident memory, bytes; 0 if it has ended.
func (p *Process) MemoryMax(buffer []byte) uint64 {
	if p.status == noProcess {
		return 0
	}
	n, err := syscall.Pread(p.status, buffer, 0)
	if err != nil || n <= 0 {
		return 0
	}
	return kilobytesAfter(buffer[:n], peak) * 1024
}

func kilobytesAfter(text, label []byte) uint64 {
	at := bytes.Index(text, label)
	if at < 0 {
		return 0
	}
	var number uint64
	for _, c := range text[at+len(label):] {
		switch {
		case '0' <= c && c <= '9':
			number = number*10 + uint64(c-'0')
		case number > 0 || c == '\n':
			return number
		}
	}
	return number
}

// Descendants are all processes below this one, whatever group or session they moved to, without the spared and what is below those. As
// a child subreaper the agent keeps those whose parents have ended.
func Descendants(spared map[int]bool) []int {
	var found []int
	waiting := []int{os.Getpid()}
	for len(waiting) > 0 {
		pid := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		for _, child := range childrenOf(pid) {
			if !spared[child] {
				found = append(found, child)
				waiting = append(waiting, child)
			}
		}
	}
	return found
}

func childrenOf(pid int) []int {
	var children []int
	folder := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, _ := os.ReadDir(folder)
	for _, thread := range threads {
		text, _ := os.ReadFile(folder + "/" + thread.Name() + "/children")
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// Resident is the memory that these processes hold, bytes. Shared pages count for each.
func Resident(pids []int) int64 {
	var pages int64
	for _, pid := range pids {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if words := strings.Fields(string(text)); len(words) > 1 {
			resident, _ := strconv.ParseInt(words[1], 10, 64)
			pages += resident
		}
	}
	return pages * int64(os.Getpagesize())
}

// KillDescendants ends every process below this one but the spared and what is below those, again until none is left but the dead.
func KillDescendants(spared map[int]bool) { kill(spared, func(int) bool { return true }) }

func kill(spared map[int]bool, chosen func(pid int) bool) {
	for range 10 {
		alive := 0
		for _, pid := range Descendants(spared) {
			if chosen(pid) && syscall.Kill(pid, syscall.SIGKILL) == nil && !isZombie(pid) {
				alive++
			}
		}
		if alive == 0 {
			return
		}
	}
}

func isZombie(pid int) bool {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return len(rest) == 0 || rest[0] == 'Z'
}

// ReapOrphans takes the exit statuses of ended processes that were inherited. `mine` are those somebody waits for.
func ReapOrphans(mine map[int]bool) {
	for _, pid := range childrenOf(os.Getpid()) {
		if !mine[pid] {
			var status syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		}
	}
}
