package supervisor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"lambent.dev/agent/loop"
)

const (
	tcpUserTimeout = 18
	silenceMs      = 30_000
)

// address is where the gateway listens.
type address struct {
	folder int    // of a Unix socket, open: a mount over /tmp doesn't hide it
	unix   string // the socket's name in the folder
	host   string
	port   uint16
}

// parseAddress reads `unix:/path` or `tcp:host:port`; name is the variable that holds it.
func parseAddress(name, text string) (address, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "unix":
		folder, err := syscall.Open(filepath.Dir(rest), syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return address{}, &os.PathError{Op: "open", Path: filepath.Dir(rest), Err: err}
		}
		return address{folder: folder, unix: filepath.Base(rest)}, nil
	case "tcp":
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			return address{}, err
		}
		number, err := strconv.ParseUint(port, 10, 16)
		return address{host: host, port: uint16(number)}, err
	default:
		return address{}, fmt.Errorf("%s is %q, not unix:/path or tcp:host:port", name, text)
	}
}

// below is the path of a Unix socket by way of its folder's descriptor.
func (a address) below(folder int) string { return fmt.Sprintf("/proc/self/fd/%d/%s", folder, a.unix) }

// text is the address as parseAddress reads it, in a process that has the folder of a Unix socket as this descriptor.
func (a address) text(folder int) string {
	if a.unix != "" {
		return "unix:" + a.below(folder)
	}
	return "tcp:" + net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

// resolve calls back on the loop, at once unless a name must be looked up.
func (a address) resolve(l *loop.Loop, found func(syscall.Sockaddr, error)) {
	if a.unix != "" {
		found(&syscall.SockaddrUnix{Name: a.below(a.folder)}, nil)
		return
	}
	if ip, err := netip.ParseAddr(a.host); err == nil {
		found(a.sockaddr(ip), nil)
		return
	}
	var ips []net.IP
	var err error
	l.Beside(func() { ips, err = net.LookupIP(a.host) }, func() {
		if err != nil {
			found(nil, err)
			return
		}
		ip, _ := netip.AddrFromSlice(ips[0])
		found(a.sockaddr(ip.Unmap()), nil)
	})
}

func (a address) sockaddr(ip netip.Addr) syscall.Sockaddr {
	if ip.Is4() {
		return &syscall.SockaddrInet4{Port: int(a.port), Addr: ip.As4()}
	}
	return &syscall.SockaddrInet6{Port: int(a.port), Addr: ip.As16()}
}

func (a address) socket() (int, error) {
	const kind = syscall.SOCK_STREAM | syscall.SOCK_CLOEXEC | syscall.SOCK_NONBLOCK
	if a.unix != "" {
		return syscall.Socket(syscall.AF_UNIX, kind, 0)
	}
	family := syscall.AF_INET
	if ip, err := netip.ParseAddr(a.host); err == nil && !ip.Is4() {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, kind, 0)
	if err != nil {
		return -1, err
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	// A gateway whose machine is gone says nothing: the kernel asks.
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 10)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, silenceMs)
	return fd, nil
}
