// Echo agent: an agent of the env link that runs no function and answers every INVOKE with its payload.
//
// The process provider starts it in place of the real agent, so that a gateway is measured by itself. The first one started serves the
// connections of all: one process stands behind the gateway, as one echo server stands behind the proxy that it is compared with.
// RESPONSE and REPORT leave in one write, as a good agent's do.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"lambent.dev/agent/link"
)

// identity is what the provider told an agent through its environment.
type identity struct {
	Gateway, Environment, Token, Runtime string
	PID                                  int
}

func main() {
	log.SetPrefix("echo agent: ")
	self := identity{os.Getenv("LAMBENT_GATEWAY"), os.Getenv("LAMBENT_ENVIRONMENT"), os.Getenv("LAMBENT_TOKEN"), os.Getenv("LAMBENT_RUNTIME"), os.Getpid()}
	kind, address, ok := strings.Cut(self.Gateway, ":")
	if !ok || kind != "unix" {
		log.Fatalf("LAMBENT_GATEWAY is %q, not unix:<path>", self.Gateway)
	}
	meeting := address + "-echo"
	var err error
	if listener, busy := net.Listen("unix", meeting); busy == nil {
		err = lead(listener, self)
	} else if errors.Is(busy, syscall.EADDRINUSE) {
		err = follow(meeting, self)
	} else {
		err = busy
	}
	if err != nil {
		log.Fatal(err)
	}
}

// lead serves for itself and for all who ask, until none is left.
func lead(listener net.Listener, self identity) error {
	var agents sync.WaitGroup
	agents.Add(1)
	go func() {
		for {
			follower, err := listener.Accept()
			if err != nil {
				return
			}
			agents.Go(func() {
				defer follower.Close()
				var other identity
				if err := json.NewDecoder(follower).Decode(&other); err != nil {
					log.Print(err)
				} else if err := run(other); err != nil {
					log.Print(err)
				}
			})
		}
	}()
	err := run(self)
	agents.Done()
	agents.Wait()
	return err
}

// follow lets the leader serve and lives as long as it does so.
func follow(meeting string, self identity) error {
	leader, err := net.Dial("unix", meeting)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(leader).Encode(self); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, leader)
	return err
}

func run(agent identity) error {
	_, address, _ := strings.Cut(agent.Gateway, ":")
	connection, err := net.Dial("unix", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := greet(connection, agent); err != nil {
		return err
	}
	return serve(connection)
}

func greet(connection net.Conn, agent identity) error {
	greeting, err := json.Marshal(link.Greeting{
		Protocol:     1,
		Environment:  agent.Environment,
		Token:        agent.Token,
		Runtime:      agent.Runtime,
		PID:          agent.PID,
		AgentVersion: "echo",
		Slots:        []link.SlotState{{State: "generic"}},
	})
	if err != nil {
		return err
	}
	_, err = connection.Write(link.Append(nil, link.Hello, 0, 0, greeting))
	return err
}

// serve ends when the gateway says so or goes away.
func serve(connection net.Conn) error {
	var reader link.Reader
	var output []byte
	for {
		n, err := connection.Read(reader.Space())
		if err != nil {
			return nil
		}
		reader.Filled(n)
		output = output[:0]
		for {
			frame, ok, err := reader.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if frame.Type == link.Shutdown {
				return nil
			}
			if output, err = answer(output, frame); err != nil {
				return err
			}
		}
		if len(output) > 0 {
			if _, err := connection.Write(output); err != nil {
				return nil
			}
		}
	}
}

func answer(output []byte, frame link.Frame) ([]byte, error) {
	switch frame.Type {
	case link.Specialize:
		return link.Append(output, link.Init, 0, frame.Slot, []byte(`{"status":"success","initNs":1,"phases":{},"errorType":null}`)), nil
	case link.Invoke:
		_, payload, err := link.ParseInvoke(frame.Body)
		if err != nil {
			return nil, err
		}
		output = link.Append(output, link.Response, 0, frame.Slot, payload)
		return link.AppendReport(output, frame.Slot, link.Outcome{DurationNs: 1_000_000, MemoryMaxBytes: 1 << 20}), nil
	case link.Ping:
		return link.Append(output, link.Pong, 0, 0, nil), nil
	default:
		return output, nil
	}
}
