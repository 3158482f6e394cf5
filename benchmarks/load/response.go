package main

import (
	"bytes"
	"errors"
	"strconv"
)

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length:")
	chunked       = []byte("\r\ntransfer-encoding:")
	closing       = []byte("\r\nconnection: close")
	functionError = []byte("\r\nx-amz-function-error:")
)

// Response is what the generator wants to know of an answer.
type Response struct {
	Status int
	Bytes  int  // head and body
	Failed bool // the function answered with an error, for which Lambda's status is 200
	Close  bool // the server ends the connection after it
}

// Outcome is what the answer is counted as: its status, unless that says too little.
func (r Response) Outcome() string {
	if r.Failed {
		return "function error"
	}
	return strconv.Itoa(r.Status)
}

// parseResponse reads the answer at the start of data; ok is false while bytes are missing.
func parseResponse(data []byte) (response Response, ok bool, err error) {
	end := bytes.Index(data, headEnd)
	if end < 0 {
		return response, false, nil
	}
	head := lower(data[: end+2 : end+2])
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("http/1.1 ")) {
		return response, false, errors.New("not an HTTP/1.1 response")
	}
	if response.Status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return response, false, err
	}
	if bytes.Contains(head, chunked) {
		return response, false, errors.New("chunked response: not supported")
	}
	length := 0
	if at := bytes.Index(head, contentLength); at >= 0 {
		line := head[at+len(contentLength):]
		line = line[:bytes.IndexByte(line, '\r')]
		if length, err = strconv.Atoi(string(bytes.TrimSpace(line))); err != nil {
			return response, false, err
		}
	}
	response.Bytes = end + len(headEnd) + length
	response.Close = bytes.Contains(head, closing)
	response.Failed = bytes.Contains(head, functionError)
	return response, len(data) >= response.Bytes, nil
}

// lower makes ASCII letters small, in place: the head is read once and thrown away.
func lower(data []byte) []byte {
	for i, c := range data {
		if 'A' <= c && c <= 'Z' {
			data[i] = c + 'a' - 'A'
		}
	}
	return data
}
