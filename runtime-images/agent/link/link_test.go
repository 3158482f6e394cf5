package link

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

type vectors struct {
	Frames []struct {
		Name  string
		Hex   string
		Frame struct {
			Type, Flags uint8
			Slot        uint16
		}
		Body   *string
		Invoke *struct {
			DeadlineMs uint64
			Fields     []string
			Payload    string
		}
		Error  *struct{ Type, Object string }
		Report *struct {
			DurationNs, InitNs, MemoryMaxBytes string
			Status                             uint8
			ErrorType                          string
		}
	}
	Refused, Incomplete []struct{ Name, Hex string }
}

func load(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("../../../tests/vectors/link.json")
	if err != nil {
		t.Skip("the shared vectors are not in this tree")
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func bytesOf(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// feed gives a reader data in pieces of at most `step` bytes and collects the frames' raw bytes.
func feed(r *Reader, data []byte, step int) ([][]byte, error) {
	var frames [][]byte
	for len(data) > 0 {
		n := copy(r.Space(), data[:min(step, len(data))])
		r.Filled(n)
		data = data[n:]
		for {
			frame, ok, err := r.Next()
			if err != nil {
				return frames, err
			}
			if !ok {
				break
			}
			frames = append(frames, bytes.Clone(frame.Raw))
		}
	}
	return frames, nil
}

func TestVectorsMeanTheSame(t *testing.T) {
	for _, v := range load(t).Frames {
		t.Run(v.Name, func(t *testing.T) {
			data := bytesOf(t, v.Hex)
			var r Reader
			r.Filled(copy(r.Space(), data))
			frame, ok, err := r.Next()
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if uint8(frame.Type) != v.Frame.Type || frame.Flags != v.Frame.Flags || frame.Slot != v.Frame.Slot {
				t.Errorf("header %v %v %v", frame.Type, frame.Flags, frame.Slot)
			}
			var again []byte
			switch {
			case v.Body != nil:
				if !bytes.Equal(frame.Body, bytesOf(t, *v.Body)) {
					t.Errorf("body %q", frame.Body)
				}
				again = Append(nil, frame.Type, frame.Flags, frame.Slot, frame.Body)
			case v.Invoke != nil:
				head, payload, err := ParseInvoke(frame.Body)
				if err != nil {
					t.Fatal(err)
				}
				fields := [][]byte{head.RequestID, head.FunctionARN, head.TraceID, head.ClientContext, head.CognitoIdentity, head.TenantID}
				for i, field := range fields {
					if string(field) != v.Invoke.Fields[i] {
						t.Errorf("field %d is %q", i, field)
					}
				}
				if head.DeadlineMs != v.Invoke.DeadlineMs || !bytes.Equal(payload, bytesOf(t, v.Invoke.Payload)) {
					t.Errorf("deadline %d, payload %q", head.DeadlineMs, payload)
				}
				again = AppendInvoke(nil, frame.Slot, frame.Flags, head, payload)
			case v.Error != nil:
				errorType, object, err := ParseError(frame.Body)
				if err != nil || string(errorType) != v.Error.Type || !bytes.Equal(object, bytesOf(t, v.Error.Object)) {
					t.Errorf("%q %q %v", errorType, object, err)
				}
				again = AppendError(nil, frame.Type, frame.Slot, string(errorType), object)
			case v.Report != nil:
				got, err := ParseReport(frame.Body)
				want := Outcome{
					number(t, v.Report.DurationNs), number(t, v.Report.InitNs), number(t, v.Report.MemoryMaxBytes),
					Status(v.Report.Status), v.Report.ErrorType,
				}
				if err != nil || got != want {
					t.Errorf("%+v %v", got, err)
				}
				again = AppendReport(nil, frame.Slot, got)
			}
			if !bytes.Equal(again, data) {
				t.Errorf("encoded again: %x", again)
			}
		})
	}
}

func TestFramesComeOutHoweverTheyAreCut(t *testing.T) {
	var stream []byte
	var want [][]byte
	for _, v := range load(t).Frames {
		want = append(want, bytesOf(t, v.Hex))
	}
	want = append(want, Append(nil, Response, 0, 0, bytes.Repeat([]byte("x"), 5*bufferBytes)), Append(nil, Ping, 0, 0, nil))
	for i := range 400 { // enough to go round the buffer many times
		want = append(want, Append(nil, Hello+Type(i%int(Pong)), 0, 0, bytes.Repeat([]byte{byte(i)}, 37*i%5000)))
	}
	for _, frame := range want {
		stream = append(stream, frame...)
	}
	for _, step := range []int{1, 7, 8, 9, 1000, 4096, len(stream)} {
		var r Reader
		got, err := feed(&r, stream, step)
		if err != nil || len(got) != len(want) {
			t.Fatalf("step %d: %d frames, %v", step, len(got), err)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("step %d: frame %d differs", step, i)
			}
		}
	}
}

func TestRefusedAndIncomplete(t *testing.T) {
	v := load(t)
	for _, c := range v.Refused {
		if _, err := feed(new(Reader), bytesOf(t, c.Hex), 100); err == nil {
			t.Errorf("%s is not refused", c.Name)
		}
	}
	for _, c := range v.Incomplete {
		if frames, err := feed(new(Reader), bytesOf(t, c.Hex), 100); err != nil || len(frames) != 0 {
			t.Errorf("%s: %d frames, %v", c.Name, len(frames), err)
		}
	}
}

func TestALargeBufferIsGivenBack(t *testing.T) {
	var r Reader
	if _, err := feed(&r, Append(nil, Response, 0, 0, make([]byte, 1<<20)), 1<<16); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Space()); n != bufferBytes {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestNoAllocationPerFrame(t *testing.T) {
	frame := AppendInvoke(nil, 0, 0, Head{RequestID: []byte("id")}, []byte("{}"))
	var r Reader
	r.Space()
	if n := testing.AllocsPerRun(100, func() {
		r.Filled(copy(r.Space(), frame))
		got, _, _ := r.Next()
		_, _, _ = ParseInvoke(got.Body)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestShortBodiesAreErrors(t *testing.T) {
	invokes := [][]byte{nil, make([]byte, 9), {0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 'a'}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a'}}
	invokes = append(invokes, append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 7}, "\n\n\n\n\n\n\n"...))
	for _, body := range invokes {
		if _, _, err := ParseInvoke(body); err == nil {
			t.Errorf("INVOKE %v is taken", body)
		}
	}
	for _, body := range [][]byte{nil, {0}, {0, 2, 'a'}} {
		if _, _, err := ParseError(body); err == nil {
			t.Errorf("ERROR %v is taken", body)
		}
	}
	if _, err := ParseReport(make([]byte, 24)); err == nil {
		t.Error("a short REPORT is taken")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 13, 0, 0, 0, 'x'}, uint8(3))
	for _, v := range load(f).Frames {
		f.Add(bytesOf(f, v.Hex), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, wholeErr := feed(new(Reader), data, len(data))
		cut, cutErr := feed(new(Reader), data, int(step)+1)
		if len(whole) != len(cut) || (wholeErr == nil) != (cutErr == nil) {
			t.Fatalf("%d frames (%v) whole, %d (%v) cut", len(whole), wholeErr, len(cut), cutErr)
		}
		for _, raw := range whole {
			body := raw[HeaderBytes:]
			if head, payload, err := ParseInvoke(body); err == nil {
				if again := AppendInvoke(nil, 0, 0, head, payload); !bytes.Equal(again[HeaderBytes:], body) {
					t.Fatalf("INVOKE %q becomes %q", body, again)
				}
			}
			_, _, _ = ParseError(body)
			_, _ = ParseReport(body)
		}
	})
}
