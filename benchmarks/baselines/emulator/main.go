// A plain emulator: Invoke and the Lambda Runtime API on Go's net/http, with nothing else between them.
//
// It starts -runtimes copies of the command that follows its flags (for example `python3 -m awslambdaric app.handler`), hands each
// invocation to whichever asks for one first, and prints its address. It is what an emulator costs at the least when it is built the
// usual way; it holds no limits, states or time-outs.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	prefix         = "/2018-06-01/runtime/invocation/"
	functionARN    = "arn:aws:lambda:us-east-1:000000000000:function:function"
	timeoutSeconds = 60
)

type invocation struct {
	id      string
	payload []byte
	done    chan []byte
}

// emulator hands invocations from callers to runtimes.
type emulator struct {
	waiting chan *invocation
	mutex   sync.Mutex
	running map[string]*invocation
	count   int
}

func main() {
	runtimes := flag.Int("runtimes", 1, "copies of the runtime")
	flag.Parse()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	e := &emulator{waiting: make(chan *invocation), running: map[string]*invocation{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/function/invocations", e.invoke)
	mux.HandleFunc("GET "+prefix+"next", e.next)
	mux.HandleFunc("POST "+prefix+"{id}/response", e.respond)
	mux.HandleFunc("POST "+prefix+"{id}/error", e.respond)
	go func() { log.Fatal(http.Serve(listener, mux)) }()
	children := start(*runtimes, listener.Addr().String(), flag.Args())
	fmt.Println(listener.Addr())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	for _, child := range children {
		child.Process.Kill()
		child.Wait()
	}
}

func start(count int, address string, command []string) []*exec.Cmd {
	children := make([]*exec.Cmd, count)
	for i := range children {
		child := exec.Command(command[0], command[1:]...)
		child.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+address)
		child.Stderr = os.Stderr
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := child.Start(); err != nil {
			log.Fatal(err)
		}
		children[i] = child
	}
	return children
}

func (e *emulator) invoke(response http.ResponseWriter, request *http.Request) {
	payload, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	e.mutex.Lock()
	e.count++
	one := &invocation{fmt.Sprintf("00000000-0000-0000-0000-%012d", e.count), payload, make(chan []byte, 1)}
	e.running[one.id] = one
	e.mutex.Unlock()
	e.waiting <- one
	answer := <-one.done
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	response.Write(answer)
}

func (e *emulator) next(response http.ResponseWriter, _ *http.Request) {
	one := <-e.waiting
	header := response.Header()
	header.Set("Lambda-Runtime-Aws-Request-Id", one.id)
	header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(timeoutSeconds*time.Second).UnixMilli(), 10))
	header.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN)
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(one.payload)))
	response.Write(one.payload)
}

func (e *emulator) respond(response http.ResponseWriter, request *http.Request) {
	id, _, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, prefix), "/")
	answer, err := io.ReadAll(request.Body)
	e.mutex.Lock()
	one := e.running[id]
	delete(e.running, id)
	e.mutex.Unlock()
	if err != nil || one == nil {
		http.Error(response, "no such invocation", http.StatusBadRequest)
		return
	}
	one.done <- answer
	response.WriteHeader(http.StatusAccepted)
}
