// Echo agent: an agent of the env link that runs no function and answers every INVOKE with its payload.
//
// The process provider starts it in place of the real agent, so that a gateway is measured by itself. RESPONSE and REPORT leave in one
// write, as a good agent's do.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	"lambent.dev/agent/link"
)

func main() {
	log.SetPrefix("echo agent: ")
	connection, err := dial(os.Getenv("LAMBENT_GATEWAY"))
	if err != nil {
		log.Fatal(err)
	}
	if err := greet(connection); err != nil {
		log.Fatal(err)
	}
	if err := serve(connection); err != nil {
		log.Fatal(err)
	}
}

func dial(address string) (net.Conn, error) {
	kind, rest, ok := strings.Cut(address, ":")
	if !ok {
		return nil, fmt.Errorf("LAMBENT_GATEWAY is %q, not unix:<path> or tcp:<address>", address)
	}
	return net.Dial(kind, rest)
}

func greet(connection net.Conn) error {
	greeting, err := json.Marshal(link.Greeting{
		Protocol:     1,
		Environment:  os.Getenv("LAMBENT_ENVIRONMENT"),
		Token:        os.Getenv("LAMBENT_TOKEN"),
		Runtime:      os.Getenv("LAMBENT_RUNTIME"),
		PID:          os.Getpid(),
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
