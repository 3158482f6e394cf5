package supervisor

import (
	"bytes"
	"slices"
	"syscall"
	"testing"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
)

// joinedUplink is an uplink that a gateway has welcomed, and the gateway's end of it.
func joinedUplink(t *testing.T) (*Uplink, int) {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	u := newUplink(l, []address{{}}, 0)
	u.fd, u.phase, u.waiting = ends[0], joined, loop.Readable
	t.Cleanup(func() {
		syscall.Close(ends[0])
		syscall.Close(ends[1])
	})
	return u, ends[1]
}

// arrived is what one read of the gateway finds.
func arrived(fd int) []byte {
	data := make([]byte, 1<<20)
	n, err := syscall.Read(fd, data)
	if err != nil {
		return nil
	}
	return data[:n]
}

func TestAnAnswerLeavesWithItsReport(t *testing.T) {
	u, gateway := joinedUplink(t)
	answer := link.Append(nil, link.Response, 0, 0, []byte("{}"))
	report := link.AppendReport(nil, 0, link.Outcome{})
	for range 2 {
		u.Send(answer)
		u.Hold()
		u.flush()
		if early := arrived(gateway); early != nil {
			t.Fatalf("%d bytes came before the report", len(early))
		}
		u.Send(report)
		u.flush()
		if got := arrived(gateway); !bytes.Equal(got, append(bytes.Clone(answer), report...)) {
			t.Fatalf("came: %x", got)
		}
	}
}

func TestWhateverFollowsAnAnswerTakesItAlong(t *testing.T) {
	u, gateway := joinedUplink(t)
	u.Send(link.Append(nil, link.Response, 0, 0, []byte("{}")))
	u.Hold()
	if err := u.take(link.Frame{Type: link.Ping}); err != nil {
		t.Fatal(err)
	}
	u.flush()
	if got := arrived(gateway); len(got) != 2*link.HeaderBytes+2 {
		t.Fatalf("came: %x", got)
	}
}

func TestAGatewayThatCanNotDecideYetIsAnsweredAndNoneInVain(t *testing.T) {
	u, gateway := joinedUplink(t)
	u.phase, u.abandonAt, u.patience, u.parted = greeting, 1, 60e9, func() {}
	u.Send(link.Append(nil, link.Response, 0, 0, []byte("{}")))
	if err := u.take(link.Frame{Type: link.Ping}); err != nil {
		t.Fatal(err)
	}
	u.flush()
	if got := arrived(gateway); !bytes.Equal(got, link.Append(nil, link.Pong, 0, 0, nil)) {
		t.Fatalf("came: %x", got)
	}
	u.abandoned = func() { t.Fatal("it gives up") }
	u.addresses = []address{{host: "127.0.0.1", port: 1}}
	if err := u.loop.Add(u.fd, loop.Readable, u); err != nil {
		t.Fatal(err)
	}
	u.lost()
}

func TestALargeAnswerLeavesAtOnce(t *testing.T) {
	u, gateway := joinedUplink(t)
	u.Send(link.Append(nil, link.Response, 0, 0, make([]byte, heldBytesMax)))
	u.Hold()
	u.flush()
	if arrived(gateway) == nil {
		t.Fatal("nothing came")
	}
}

func TestWhatIsHeldLeavesWhenTheConnectionIsGivenUp(t *testing.T) {
	u, gateway := joinedUplink(t)
	if err := u.loop.Add(u.fd, loop.Readable, u); err != nil {
		t.Fatal(err)
	}
	u.Send(link.Append(nil, link.Response, 0, 0, []byte("{}")))
	u.Hold()
	u.Close()
	if arrived(gateway) == nil {
		t.Fatal("nothing came")
	}
}

func TestWhatHasNotBeenSentIsKnown(t *testing.T) {
	u, _ := joinedUplink(t)
	u.Send(link.Append(nil, link.Response, 0, 1, []byte("{}")))
	u.Send(link.AppendReport(nil, 1, link.Outcome{}))
	if !u.Holds(link.Report, 1) || u.Holds(link.Report, 0) || u.Holds(link.Log, 1) {
		t.Fatal("a report of slot 1 is held, and of no other")
	}
	u.flush()
	if u.Holds(link.Report, 1) {
		t.Fatal("it has been sent")
	}
}

func TestWhatIsGivenUpIsNotDialledAgain(t *testing.T) {
	u, _ := joinedUplink(t)
	if err := u.loop.Add(u.fd, loop.Readable, u); err != nil {
		t.Fatal(err)
	}
	u.addresses = []address{{host: "127.0.0.1", port: 1}}
	u.Close()
	u.dial() // a name that was being looked up is found
	if u.fd >= 0 || u.phase != closed {
		t.Fatal("it is dialled")
	}
}

func TestWhereItBelongs(t *testing.T) {
	own, fallback, other := address{host: "own"}, address{host: "fallback"}, address{host: "other"}
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(u *Uplink, want ...address) {
		t.Helper()
		if got := u.Belongs(); !slices.Equal(got, want) {
			t.Fatalf("%v, not %v", got, want)
		}
	}
	alone := newUplink(l, []address{own}, 1e9)
	alone.parted = func() {}
	expect(alone, own)
	u := newUplink(l, []address{own, fallback}, 1e9)
	expect(u, own, fallback)
	u.lost() // nobody was there
	expect(u, fallback, fallback)
	u.Redirect(other)
	u.lost()
	expect(u, other, fallback)
}

func TestAnAddressIsReadAsItIsWritten(t *testing.T) {
	for _, text := range []string{"tcp:10.0.0.1:9001", "tcp:gateway.lambent:9001", "tcp:[fd00::1]:9001"} {
		a, err := parseAddress("X", text)
		if err != nil || a.text(3) != text {
			t.Fatal(text, a, err)
		}
	}
	a, err := parseAddress("X", "unix:"+t.TempDir()+"/socket")
	if err != nil || a.text(4) != "unix:/proc/self/fd/4/socket" {
		t.Fatal(a, err)
	}
	again, err := parseAddress("X", a.text(a.folder))
	if err != nil || again.unix != "socket" {
		t.Fatal(again, err)
	}
}
