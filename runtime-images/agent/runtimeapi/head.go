// Package runtimeapi serves the Lambda Runtime API (2018-06-01) to the runtime of one environment.
//
// A small HTTP/1.1 server of its own on the agent's loop: one runtime, few routes, no allocation per request in the usual case.
//
//	R1  a call that the runtime's state doesn't allow changes nothing and gets 403 InvalidStateTransition
//	R2  an answer counts only for the invocation in flight; any other id gets 400 InvalidRequestID
//	R3  whatever a client sends, at most headBytesMax of head and the response limit of body are held
package runtimeapi

import (
	"bytes"
	"errors"
	"strconv"
)

// headBytesMax leaves room for the cause of an error for X-Ray, which clients send as a header of up to 1 MB.
const headBytesMax = 1<<20 + 64<<10

// Head is what the server reads of a request's head. The slices are parts of the bytes that were parsed.
type Head struct {
	Method       []byte
	Path         []byte
	Length       int64 // -1: chunked
	Close        bool
	Continue     bool // the client waits for 100 before it sends the body
	ContentType  []byte
	ErrorType    []byte
	ResponseMode []byte
}

var (
	errHead      = errors.New("the request's head is malformed")
	errHeadLarge = errors.New("the request's head is too large")
)

// ParseHead reads a request's head. It answers the head's size, or 0 if it is not complete yet.
func ParseHead(data []byte) (Head, int, error) {
	size := bytes.Index(data, []byte("\r\n\r\n"))
	if size < 0 {
		if len(data) > headBytesMax {
			return Head{}, 0, errHeadLarge
		}
		return Head{}, 0, nil
	}
	line, rest, _ := bytes.Cut(data[:size+2], []byte("\r\n"))
	head, err := parseRequestLine(line)
	for err == nil && len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		err = head.field(line)
	}
	return head, size + 4, err
}

func parseRequestLine(line []byte) (Head, error) {
	var head Head
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || len(method) == 0 || len(target) == 0 || target[0] != '/' {
		return head, errHead
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		head.Close = true
	default:
		return head, errHead
	}
	head.Method = method
	head.Path, _, _ = bytes.Cut(target, []byte("?"))
	return head, nil
}

func (h *Head) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return errHead
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-length"):
		length, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil || h.Length < 0 || (h.Length > 0 && h.Length != int64(length)) {
			return errHead
		}
		h.Length = int64(length)
	case is(name, "transfer-encoding"):
		if !is(value, "chunked") || h.Length > 0 {
			return errHead
		}
		h.Length = -1
	case is(name, "connection"):
		if is(value, "close") {
			h.Close = true
		} else if is(value, "keep-alive") {
			h.Close = false
		}
	case is(name, "expect"):
		h.Continue = is(value, "100-continue")
	case is(name, "content-type"):
		h.ContentType = value
	case is(name, "lambda-runtime-function-error-type"):
		h.ErrorType = value
	case is(name, "lambda-runtime-function-response-mode"):
		h.ResponseMode = value
	}
	return nil
}

// is compares without regard to case with a text in small letters.
func is(text []byte, small string) bool {
	if len(text) != len(small) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != small[i] {
			return false
		}
	}
	return true
}
