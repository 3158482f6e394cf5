package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// family starts a shell that, once it is marked, leaves an orphan in a session of its own, and says which when that is there. It answers
// the shell and the orphan.
func family(t *testing.T, mark uint64) (*Process, int) {
	t.Helper()
	BecomeSubreaper()
	var start, said [2]int
	for _, ends := range []*[2]int{&start, &said} {
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(ends[0])
	}
	shell, err := Start(Command{
		Argv:      []string{"sh", "-c", "read go <&3; (setsid sleep 600 >/dev/null & echo $!); exec sleep 600 >/dev/null"},
		Env:       []string{"PATH=" + os.Getenv("PATH")},
		Output:    said[1],
		Inherited: []int{start[0]},
	})
	syscall.Close(said[1])
	if err != nil {
		t.Fatal(err)
	}
	if mark != 0 {
		shell.Mark(mark)
	}
	_, _ = syscall.Write(start[1], []byte("\n"))
	syscall.Close(start[1])
	text := make([]byte, 64)
	n, err := syscall.Read(said[0], text)
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		t.Fatal(err)
	}
	return shell, orphan
}

// reap waits for an end by signal.
func reap(t *testing.T, pid int) {
	t.Helper()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || !status.Signaled() {
		t.Fatal(pid, status, err)
	}
}

func TestWhatIsLeftBehindIsFoundByItsMark(t *testing.T) {
	first, firsts := family(t, 1)
	second, seconds := family(t, 2)
	own, owns := family(t, 0)
	first.Kill()
	if exit := first.Reap(); exit.Reason() != "signal: killed" {
		t.Fatal(exit.Reason())
	}
	KillMarked(1, map[int]bool{second.PID: true})
	reap(t, firsts)
	for _, pid := range []int{second.PID, seconds, own.PID, owns} {
		if isZombie(pid) {
			t.Fatalf("%d, which had another mark or none, was ended", pid)
		}
	}
	KillDescendants(nil)
	for _, p := range []*Process{second, own} {
		p.Reap()
	}
	reap(t, seconds)
	reap(t, owns)
}

func TestTheSparedStay(t *testing.T) {
	spared, _ := family(t, 0)
	other, orphan := family(t, 0)
	for _, pid := range Descendants(map[int]bool{spared.PID: true}) {
		if pid == spared.PID {
			t.Fatal("it is not spared")
		}
	}
	KillDescendants(map[int]bool{spared.PID: true})
	other.Reap()
	reap(t, orphan)
	if isZombie(spared.PID) {
		t.Fatal("it was ended")
	}
	spared.Kill()
	spared.Reap()
}
