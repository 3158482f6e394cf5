package loop

import (
	"syscall"
	"testing"
)

func TestWorkBesideALivelyLoopIsDone(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	order := []string{}
	l.Beside(func() { order = append(order, "work") }, func() {
		order = append(order, "done")
		l.Stop()
	})
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if len(order) != 2 || order[0] != "work" || order[1] != "done" {
		t.Fatalf("happened: %v", order)
	}
	if l.beside != 0 {
		t.Fatalf("%d works are still counted", l.beside)
	}
}

func TestALoopComesToRestAndBack(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	rests := 0
	quietest := 0
	timer := l.NewTimer(func() {
		rests++
		_, _ = syscall.Write(ends[1], []byte{1})
	})
	err = l.Add(ends[0], Readable, HandlerFunc(func(uint32) {
		var one [1]byte
		_, _ = Read(ends[0], one[:])
		l.Stop()
	}))
	if err != nil {
		t.Fatal(err)
	}
	l.OnSettled(func() { quietest = max(quietest, l.quiet) })
	timer.Set(Now() + 3*quietMax*sliceMs*1e6)
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if rests != 1 || quietest < quietMax {
		t.Fatalf("the timer fired %d times, the loop was quiet for %d waits", rests, quietest)
	}
	if l.quiet != 0 {
		t.Fatalf("quiet is %d after an event", l.quiet)
	}
}
