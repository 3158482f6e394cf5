// What a platform's gateway is in Go: `httputil.ReverseProxy` in front of an HTTP server that echoes.
//
// `reverse_proxy echo` is the server, `reverse_proxy proxy <address>` the proxy; each prints its address. They are two processes, so that
// the proxy's processor time is its own.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
)

// idleConnections is above any number of connections used here: the default of 2 per host would open one per request.
const idleConnections = 1000

func main() {
	var handler http.Handler
	switch {
	case len(os.Args) == 2 && os.Args[1] == "echo":
		handler = http.HandlerFunc(echo)
	case len(os.Args) == 3 && os.Args[1] == "proxy":
		handler = proxy(os.Args[2])
	default:
		log.Fatal("usage: reverse_proxy echo | proxy <address>")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, handler))
}

func echo(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Content-Length", strconv.Itoa(len(body)))
	response.Write(body)
}

func proxy(address string) http.Handler {
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idleConnections, idleConnections
	reverse.Transport = transport
	return reverse
}
