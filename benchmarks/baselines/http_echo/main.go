// HTTP echo with the least between two sockets: the floor that no HTTP server on loopback is below by much.
//
// It takes requests with a Content-Length and answers each with its own body. Prints its address.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"strconv"
)

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

func main() {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	input, output, filled := make([]byte, 64<<10), []byte(nil), 0
	for {
		n, err := connection.Read(input[filled:])
		if err != nil {
			return
		}
		filled += n
		head := bytes.Index(input[:filled], headEnd)
		if head < 0 {
			continue
		}
		end := head + len(headEnd) + bodyBytes(input[:head+2])
		if filled < end {
			continue
		}
		body := input[head+len(headEnd) : end]
		output = append(output[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "...)
		output = append(strconv.AppendInt(output, int64(len(body)), 10), headEnd...)
		if _, err := connection.Write(append(output, body...)); err != nil {
			return
		}
		filled = copy(input, input[end:filled])
	}
}

func bodyBytes(head []byte) int {
	_, rest, _ := bytes.Cut(head, contentLength)
	line, _, _ := bytes.Cut(rest, []byte("\r"))
	length, _ := strconv.Atoi(string(line))
	return length
}
