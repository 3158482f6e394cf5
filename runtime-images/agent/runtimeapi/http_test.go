package runtimeapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	text := "POST /2018-06-01/runtime/invocation/7/response?x=1 HTTP/1.1\r\nHost: h\r\nCONTENT-length:  12 \r\nExpect: 100-Continue\r\n" +
		"Content-Type: text/x\r\nlambda-runtime-function-error-type: E\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\nbody"
	head, size, err := ParseHead([]byte(text))
	if err != nil || size != len(text)-4 {
		t.Fatal(size, err)
	}
	got := fmt.Sprintf("%s %s %d %v %v %s %s %s", head.Method, head.Path, head.Length, head.Close, head.Continue,
		head.ContentType, head.ErrorType, head.ResponseMode)
	if want := "POST /2018-06-01/runtime/invocation/7/response 12 false true text/x E streaming"; got != want {
		t.Errorf("%s", got)
	}
}

func TestHeadsThatAreIncompleteOrWrong(t *testing.T) {
	cases := []struct {
		name, text string
		wrong      bool
	}{
		{"nothing", "", false},
		{"no empty line", "GET / HTTP/1.1\r\nA: b\r\n", false},
		{"too large", strings.Repeat("a", headBytesMax+1), true},
		{"no version", "GET /\r\n\r\n", true},
		{"other version", "GET / HTTP/2.0\r\n\r\n", true},
		{"no path", "GET x HTTP/1.1\r\n\r\n", true},
		{"no colon", "GET / HTTP/1.1\r\nA b\r\n\r\n", true},
		{"no colon, no space", "GET / HTTP/1.1\r\nAb\r\n\r\n", true},
		{"no name", "GET / HTTP/1.1\r\n: b\r\n\r\n", true},
		{"no method", " / HTTP/1.1\r\n\r\n", true},
		{"space in a name", "GET / HTTP/1.1\r\nA : b\r\n\r\n", true},
		{"folded", "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", true},
		{"negative length", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", true},
		{"length no number", "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", true},
		{"two lengths", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", true},
		{"length and chunks", "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", true},
		{"chunks and length", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", true},
		{"other coding", "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", true},
	}
	for _, c := range cases {
		if _, size, err := ParseHead([]byte(c.text)); (err != nil) != c.wrong || (err == nil && size != 0) {
			t.Errorf("%s: %d, %v", c.name, size, err)
		}
	}
}

func TestAChunkedHead(t *testing.T) {
	head, _, err := ParseHead([]byte("POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n"))
	if err != nil || head.Length != -1 {
		t.Error(head.Length, err)
	}
}

func TestKeepAlive(t *testing.T) {
	for text, closes := range map[string]bool{
		"GET / HTTP/1.1\r\n\r\n":                           false,
		"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n":      true,
		"GET / HTTP/1.0\r\n\r\n":                           true,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n": false,
	} {
		if head, _, err := ParseHead([]byte(text)); err != nil || head.Close != closes {
			t.Errorf("%q: %v %v", text, head.Close, err)
		}
	}
}

// takeAll reads a body from data that comes in pieces of at most `step` bytes.
func takeAll(body *Body, data []byte, step int) (got []byte, rest int, err error) {
	var held []byte
	for len(data) > 0 || len(held) > 0 {
		n := min(step, len(data))
		held = append(held, data[:n]...)
		data = data[n:]
		for {
			part, used, err := body.Take(held)
			if err != nil {
				return got, 0, err
			}
			got = append(got, part...)
			held = held[used:]
			if used == 0 {
				break
			}
		}
		if n == 0 {
			break
		}
	}
	return got, len(held), nil
}

func TestBodies(t *testing.T) {
	chunked := Head{Length: -1}
	cases := []struct {
		name, data string
		head       Head
		want       string
		over       bool
		rest       int
	}{
		{"none", "GET", Head{}, "", true, 3},
		{"of a length", "abcdef", Head{Length: 4}, "abcd", true, 2},
		{"of a length, cut", "abc", Head{Length: 4}, "abc", false, 0},
		{"chunks", "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\nGET", chunked, "abc0123456789", true, 3},
		{"bare newlines", "3\nabc\n0\n\n", chunked, "abc", true, 0},
		{"chunks, cut", "3\r\nabc\r\n5\r\nab", chunked, "abcab", false, 0},
		{"trailers", "1\r\na\r\n0\r\nOther: x\r\n\r\n", chunked, "a", true, 0},
	}
	for _, c := range cases {
		for _, step := range []int{1, 2, 100} {
			body := NewBody(c.head)
			got, rest, err := takeAll(&body, []byte(c.data), step)
			if err != nil || string(got) != c.want || body.Over() != c.over || rest != c.rest {
				t.Errorf("%s by %d: %q, over %v, rest %d, %v", c.name, step, got, body.Over(), rest, err)
			}
		}
	}
}

func TestBodiesThatAreWrong(t *testing.T) {
	for _, data := range []string{"x\r\n", "\r\n", "-1\r\n", "3\r\nabcd\r\n", "ffffffffffffffffff\r\n", strings.Repeat("1", lineBytesMax+2)} {
		body := NewBody(Head{Length: -1})
		if _, _, err := takeAll(&body, []byte(data), 1<<21); err == nil {
			t.Errorf("%.20q is taken", data)
		}
	}
}

func TestTrailersOfAnError(t *testing.T) {
	body := NewBody(Head{Length: -1})
	data := "0\r\nlambda-runtime-function-ERROR-type: Late\r\nLambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n"
	if _, _, err := takeAll(&body, []byte(data), 3); err != nil {
		t.Fatal(err)
	}
	if errorType, object := trailers(&body); errorType != "Late" || string(object) != `{"a":1}` {
		t.Errorf("%s %s", errorType, object)
	}
}

func TestStates(t *testing.T) {
	all := []State{Closed, Started, InitError, Ready, InvocationResponse, InvocationErrorResponse, ResponseSent}
	may := map[string]bool{}
	for _, pair := range []string{
		"RuntimeStarted RuntimeReady", "RuntimeStarted RuntimeInitError", "RuntimeReady RuntimeReady",
		"RuntimeReady RuntimeInvocationResponse", "RuntimeReady RuntimeInvocationErrorResponse", "RuntimeResponseSent RuntimeReady",
	} {
		may[pair] = true
	}
	for _, state := range all {
		for _, call := range all {
			if pair := state.String() + " " + call.String(); state.Allows(call) != may[pair] {
				t.Errorf("%s: %v", pair, state.Allows(call))
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	for path, want := range map[string]string{
		"/2018-06-01/runtime/invocation/next":         "runtime/invocation/next ",
		"/2018-06-01/runtime/invocation/7-a/response": "response 7-a",
		"/2018-06-01/runtime/invocation/7-a/error":    "error 7-a",
		"/2018-06-01/runtime/init/error":              "runtime/init/error ",
		"/2018-06-01/runtime/invocation//response":    " ",
		"/2018-06-01/error":                           " ",
		"/other":                                      " ",
	} {
		name, id := route([]byte(path))
		if got := name + " " + string(id); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestErrorOf(t *testing.T) {
	for _, c := range [][4]string{
		{"Mine", `{"errorType":"Other"}`, "Mine", `{"errorType":"Other"}`},
		{"Unhandled", `{"errorType":"Other"}`, "Other", `{"errorType":"Other"}`},
		{"", `{"errorType":"Other"}`, "Other", `{"errorType":"Other"}`},
		{"", `no json`, "Function.Unknown", `no json`},
		{"", ``, "Function.Unknown", `{"errorType":"Function.Unknown"}`},
	} {
		name, object := errorOf([]byte(c[0]), []byte(c[1]), "Function.Unknown")
		if name != c[2] || string(object) != c[3] {
			t.Errorf("%q: %s %s", c, name, object)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, size, err := ParseHead(data)
		if err != nil || size == 0 {
			return
		}
		if size > len(data) || !bytes.HasSuffix(data[:size], []byte("\r\n\r\n")) || head.Path[0] != '/' || head.Length < -1 {
			t.Fatalf("%q: %d %+v", data, size, head)
		}
		whole, cut := NewBody(head), NewBody(head)
		a, _, errA := takeAll(&whole, data[size:], len(data))
		b, _, errB := takeAll(&cut, data[size:], 1)
		if (errA == nil) != (errB == nil) || errA == nil && (!bytes.Equal(a, b) || whole.Over() != cut.Over()) {
			t.Fatalf("%q: %q %v, bytewise %q %v", data, a, errA, b, errB)
		}
	})
}
