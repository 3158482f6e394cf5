// Load calls one HTTP endpoint on loopback and prints what came back, as JSON.
//
// Closed loop (the default): every connection sends its next request when it has its answer. Open loop (-rate): requests are due at a
// fixed rate, whether earlier ones were answered or not, and a latency counts from when the request was due. One thread, one epoll, no
// HTTP library: the generator shares its machine with what it measures.
//
// It ends by itself: after -count requests or -seconds, and never later than -seconds-max.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

// Options say what to send, how often and for how long.
type Options struct {
	Address     string
	Path        string
	Headers     []string
	Body        string
	Connections int
	Count       int
	Seconds     float64
	SecondsMax  float64
	Rate        float64
	Samples     bool
	Answered    string
}

const usage = `%d in -path and -body stands for the number of the request, from -first on`

func main() {
	var options Options
	var size, first int
	flag.StringVar(&options.Address, "address", "", "host:port on loopback")
	flag.StringVar(&options.Path, "path", "/", usage)
	flag.Func("header", "name: value, may be repeated", func(line string) error {
		options.Headers = append(options.Headers, line)
		return nil
	})
	flag.StringVar(&options.Body, "body", "", usage)
	flag.IntVar(&size, "bytes", 48, "size of a JSON body made up where -body is empty")
	flag.IntVar(&options.Connections, "connections", 1, "keep-alive connections")
	flag.IntVar(&options.Count, "count", 0, "requests to send; 0: as many as -seconds allows")
	flag.IntVar(&first, "first", 0, "number of the first request")
	flag.Float64Var(&options.Seconds, "seconds", 0, "when to stop sending; 0: when -count is reached")
	flag.Float64Var(&options.SecondsMax, "seconds-max", 60, "when to give up waiting")
	flag.Float64Var(&options.Rate, "rate", 0, "requests per second, open loop; 0: closed loop")
	flag.BoolVar(&options.Samples, "samples", false, "print every latency as well")
	flag.StringVar(&options.Answered, "answered", "", "file for the numbers of the requests that got a 2xx, one a line")
	flag.Parse()
	if options.Body == "" {
		options.Body = madeUp(size)
	}
	if err := run(options, first); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(options Options, first int) error {
	address, err := loopback(options.Address)
	if err != nil {
		return err
	}
	if options.Count == 0 && options.Seconds == 0 {
		return fmt.Errorf("one of -count and -seconds must be given")
	}
	runtime.LockOSThread()
	tally := newTally(options.Answered != "")
	requests := newRequests(options, first)
	loop, err := newLoop(address, options, requests, tally)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := loop.run(); err != nil {
		return err
	}
	if options.Answered != "" {
		if err := tally.writeAnswered(options.Answered); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(tally.summary(time.Since(began), options.Samples))
}

// loopback refuses every other address: this program has no business elsewhere.
func loopback(address string) (*net.TCPAddr, error) {
	resolved, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", address)
	}
	return resolved, nil
}

// madeUp is a JSON object of the given size.
func madeUp(size int) string {
	body := []byte(`{"key":"`)
	for len(body) < size-2 {
		body = append(body, 'x')
	}
	return string(append(body, `"}`...))
}
