package main

import (
	"strconv"
	"strings"
)

// Requests makes the bytes of one request after another.
type Requests struct {
	path, body []string // around their %d
	head       string
	next       int
	ready      []byte // where no number is asked for, all requests are this one
}

func newRequests(options Options, first int) *Requests {
	head := " HTTP/1.1\r\nHost: " + options.Address + "\r\nContent-Type: application/json\r\n"
	for _, line := range options.Headers {
		head += line + "\r\n"
	}
	requests := &Requests{strings.Split(options.Path, "%d"), strings.Split(options.Body, "%d"), head, first, nil}
	if len(requests.path) == 1 && len(requests.body) == 1 {
		_, requests.ready = requests.Next(nil)
		requests.next = first
	}
	return requests
}

// Next is the number and the bytes of the next request; the bytes may be in buffer.
func (r *Requests) Next(buffer []byte) (int, []byte) {
	number := r.next
	r.next++
	if r.ready != nil {
		return number, r.ready
	}
	text := strconv.Itoa(number)
	body := strings.Join(r.body, text)
	buffer = append(append(buffer[:0], "POST "...), strings.Join(r.path, text)...)
	buffer = append(append(buffer, r.head...), "Content-Length: "...)
	buffer = append(strconv.AppendInt(buffer, int64(len(body)), 10), "\r\n\r\n"...)
	return number, append(buffer, body...)
}
