package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Head is what an INVOKE says beside deadline and payload, as slices of the frame's body.
type Head struct {
	DeadlineMs      uint64
	RequestID       []byte
	FunctionARN     []byte
	TraceID         []byte
	ClientContext   []byte
	CognitoIdentity []byte
	TenantID        []byte
}

// ParseInvoke takes an INVOKE body apart into its head and the payload.
func ParseInvoke(body []byte) (Head, []byte, error) {
	var head Head
	if len(body) < 10 {
		return head, nil, errors.New("INVOKE body is shorter than its fixed fields")
	}
	head.DeadlineMs = binary.BigEndian.Uint64(body)
	size := 10 + int(binary.BigEndian.Uint16(body[8:]))
	if len(body) < size {
		return head, nil, errors.New("INVOKE head is longer than the body")
	}
	text := body[10:size]
	fields := [...]*[]byte{&head.RequestID, &head.FunctionARN, &head.TraceID, &head.ClientContext, &head.CognitoIdentity, &head.TenantID}
	for i, field := range fields {
		end := bytes.IndexByte(text, '\n')
		if last := i == len(fields)-1; last != (end < 0) {
			return head, nil, fmt.Errorf("INVOKE head has not %d fields", len(fields))
		} else if last {
			end = len(text)
		}
		*field = text[:end:end]
		if end < len(text) {
			text = text[end+1:]
		}
	}
	return head, body[size:], nil
}

// AppendInvoke appends an INVOKE frame.
func AppendInvoke(dst []byte, slot uint16, flags uint8, head Head, payload []byte) []byte {
	text := bytes.Join([][]byte{head.RequestID, head.FunctionARN, head.TraceID, head.ClientContext, head.CognitoIdentity, head.TenantID}, []byte{'\n'})
	dst = AppendHeader(dst, 10+len(text)+len(payload), Invoke, flags, slot)
	dst = binary.BigEndian.AppendUint64(dst, head.DeadlineMs)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(text)))
	return append(append(dst, text...), payload...)
}

// Outcome is the body of a REPORT. Times in nanoseconds.
type Outcome struct {
	DurationNs     uint64
	InitNs         uint64
	MemoryMaxBytes uint64
	Status         Status
	ErrorType      string
}

// AppendReport appends a REPORT frame.
func AppendReport(dst []byte, slot uint16, o Outcome) []byte {
	dst = AppendHeader(dst, 25+len(o.ErrorType), Report, 0, slot)
	dst = binary.BigEndian.AppendUint64(dst, o.DurationNs)
	dst = binary.BigEndian.AppendUint64(dst, o.InitNs)
	dst = binary.BigEndian.AppendUint64(dst, o.MemoryMaxBytes)
	return append(append(dst, uint8(o.Status)), o.ErrorType...)
}

// ParseReport reads a REPORT body.
func ParseReport(body []byte) (Outcome, error) {
	if len(body) < 25 {
		return Outcome{}, errors.New("REPORT body is shorter than its fixed fields")
	}
	number := binary.BigEndian.Uint64
	return Outcome{number(body), number(body[8:]), number(body[16:]), Status(body[24]), string(body[25:])}, nil
}

// AppendError appends an ERROR frame (or, with kind StreamEnd, the error that ends a stream).
func AppendError(dst []byte, kind Type, slot uint16, errorType string, object []byte) []byte {
	dst = AppendHeader(dst, 2+len(errorType)+len(object), kind, 0, slot)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(errorType)))
	return append(append(dst, errorType...), object...)
}

// ParseError takes an ERROR body apart into error type and error object.
func ParseError(body []byte) (errorType, object []byte, err error) {
	if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
		return nil, nil, errors.New("ERROR body is shorter than the error type it announces")
	}
	size := 2 + int(binary.BigEndian.Uint16(body))
	return body[2:size], body[size:], nil
}
