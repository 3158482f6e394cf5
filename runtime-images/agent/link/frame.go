// Package link is the codec of the env link: frames between gateway, agent and runtime (docs/decisions/0002-env-link.md).
//
// Nothing here reads or writes: bytes go in, frames come out.
//
//	L1  decoding what was encoded gives the same frame, however the bytes are cut
//	L2  a frame above BodyBytesMax or of an unknown type is refused before it is buffered
package link

import (
	"encoding/binary"
	"fmt"
)

const (
	HeaderBytes = 8
	// BodyBytesMax is the largest body, bytes.
	BodyBytesMax = 16 << 20
	// bufferBytes is what a Reader holds while frames are small; a larger frame's buffer is given back after it.
	bufferBytes = 32 << 10
)

// Type says what a frame is.
type Type uint8

const (
	Hello Type = 1 + iota
	Welcome
	Specialize
	Fetch
	Blob
	Init
	Invoke
	Response
	Error
	StreamStart
	StreamChunk
	StreamEnd
	Log
	Report
	Shutdown
	Ping
	Pong
	Redirect
	Open
)

const (
	InvokeStream uint8 = 1
	BlobLast     uint8 = 1
	BlobAbsent   uint8 = 2
	LogOutside   uint8 = 1
)

// Status of a REPORT.
type Status uint8

const (
	Success Status = iota
	Failed
	TimedOut
	Broken
)

// Frame is one frame. Raw is the whole of it, header included; both slices are valid until the reader is given more bytes.
type Frame struct {
	Type  Type
	Flags uint8
	Slot  uint16
	Body  []byte
	Raw   []byte
}

// Reader cuts a byte stream into frames without copying them: read into Space, tell Filled, take Next until it has none.
type Reader struct {
	buffer     []byte
	start, end int
}

// Space is where the next bytes of the stream belong. Never empty.
func (r *Reader) Space() []byte {
	if r.buffer == nil {
		r.buffer = make([]byte, bufferBytes)
	}
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buffer) > 4*bufferBytes {
			r.buffer = make([]byte, bufferBytes)
		}
		return r.buffer
	}
	need := HeaderBytes
	if r.end-r.start >= HeaderBytes {
		need += int(binary.BigEndian.Uint32(r.buffer[r.start:]))
	}
	if need > len(r.buffer) {
		grown := make([]byte, need)
		r.end = copy(grown, r.buffer[r.start:r.end])
		r.start, r.buffer = 0, grown
	} else if r.start+need > len(r.buffer) || r.end == len(r.buffer) {
		r.end = copy(r.buffer, r.buffer[r.start:r.end])
		r.start = 0
	}
	return r.buffer[r.end:]
}

// Filled says that n bytes were read into Space.
func (r *Reader) Filled(n int) { r.end += n }

// Reset forgets what is incomplete: the stream begins anew.
func (r *Reader) Reset() { r.start, r.end = 0, 0 }

// Next is the next complete frame, if there is one. After an error the stream is of no use.
func (r *Reader) Next() (Frame, bool, error) {
	if r.end-r.start < HeaderBytes {
		return Frame{}, false, nil
	}
	head := r.buffer[r.start:]
	length := binary.BigEndian.Uint32(head)
	if length > BodyBytesMax {
		return Frame{}, false, fmt.Errorf("frame body of %d bytes is above the limit of %d", length, BodyBytesMax)
	}
	if head[4] < uint8(Hello) || head[4] > uint8(Open) {
		return Frame{}, false, fmt.Errorf("unknown frame type %d", head[4])
	}
	size := HeaderBytes + int(length)
	if r.end-r.start < size {
		return Frame{}, false, nil
	}
	raw := head[:size:size]
	r.start += size
	frame := Frame{Type(raw[4]), raw[5], binary.BigEndian.Uint16(raw[6:]), raw[HeaderBytes:], raw}
	return frame, true, nil
}

// FrameBytes is the length of the whole frame that begins here.
func FrameBytes(raw []byte) int { return HeaderBytes + int(binary.BigEndian.Uint32(raw)) }

// TypeAndSlot is what the frame that begins here is, and whose.
func TypeAndSlot(raw []byte) (Type, uint16) { return Type(raw[4]), binary.BigEndian.Uint16(raw[6:]) }

// AppendHeader appends the header of a frame whose body has the given length.
func AppendHeader(dst []byte, length int, kind Type, flags uint8, slot uint16) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	dst = append(dst, uint8(kind), flags)
	return binary.BigEndian.AppendUint16(dst, slot)
}

// Append appends a whole frame.
func Append(dst []byte, kind Type, flags uint8, slot uint16, body []byte) []byte {
	return append(AppendHeader(dst, len(body), kind, flags, slot), body...)
}
