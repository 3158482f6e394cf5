package runtimeapi

import (
	"bytes"
	"errors"
	"strconv"
)

// lineBytesMax bounds a chunk's size line and a trailer. Trailers carry an error object, base64, as large as clients make it.
const lineBytesMax = 1 << 20

var errBody = errors.New("the request's body is malformed")

// Body takes a request's body apart: of a known length, or in chunks with trailers.
type Body struct {
	left    int64
	chunked bool
	stage   stage
	// Trailers that end a streamed response.
	ErrorType []byte
	ErrorBody []byte
}

type stage uint8

const (
	inSize stage = iota
	inData
	afterData
	inTrailers
	over
)

// NewBody is the body that a head announces.
func NewBody(head Head) Body {
	switch {
	case head.Length < 0:
		return Body{chunked: true, stage: inSize}
	case head.Length == 0:
		return Body{stage: over}
	default:
		return Body{left: head.Length, stage: inData}
	}
}

// Over says that the body is complete.
func (b *Body) Over() bool { return b.stage == over }

// Take reads from data: the part of it that belongs to the body, possibly empty, and how many bytes were used up. To be called until
// it uses none.
func (b *Body) Take(data []byte) (part []byte, used int, err error) {
	switch b.stage {
	case inData:
		n := int(min(b.left, int64(len(data))))
		if b.left -= int64(n); b.left == 0 {
			b.stage = over
			if b.chunked {
				b.stage = afterData
			}
		}
		return data[:n], n, nil
	case over:
		return nil, 0, nil
	}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if len(data) > lineBytesMax {
			err = errBody
		}
		return nil, 0, err
	}
	return nil, end + 1, b.line(bytes.TrimSuffix(data[:end], []byte("\r")))
}

func (b *Body) line(line []byte) error {
	switch b.stage {
	case inSize:
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 62)
		if err != nil {
			return errBody
		}
		b.left, b.stage = int64(size), inData
		if size == 0 {
			b.stage = inTrailers
		}
	case afterData:
		if len(line) > 0 {
			return errBody
		}
		b.stage = inSize
	case inTrailers:
		if len(line) == 0 {
			b.stage = over
			return nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = append([]byte(nil), bytes.Trim(value, " \t")...)
		switch {
		case is(name, "lambda-runtime-function-error-type"):
			b.ErrorType = value
		case is(name, "lambda-runtime-function-error-body"):
			b.ErrorBody = value
		}
	}
	return nil
}
