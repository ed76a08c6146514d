package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports are taken from below the range that the system uses for outgoing connections. From within it, a client that
// dials a server which is down could be given the server's own port, and even be connected to itself.
const (
	firstPort = 20000
	lastPort  = 31999
)

// freePorts returns n ports of 127.0.0.1 that nobody listens on now, and that no other stack is given while this process
// lives: not before its servers listen on them, nor while one of them is down.
func freePorts(n int) ([]int, error) {
	var ports []int
	// Held until all are chosen, so that no port is chosen twice.
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if taken, err := reserve(port); err != nil || !taken {
			if err != nil {
				return nil, err
			}
			continue
		}
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		held = append(held, l)
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports of 127.0.0.1 between %d and %d: none left",
		n, firstPort, lastPort)
}

// reserve takes a port for this process by a lock on a file, which ends with it, and reports whether it was free.
func reserve(port int) (bool, error) {
	dir := filepath.Join(os.TempDir(), "ports-of-twinreel")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false, fmt.Errorf("reserve a port: %w", err)
	}
	file, err := syscall.Open(filepath.Join(dir, strconv.Itoa(port)), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return false, fmt.Errorf("reserve a port: %w", err)
	}
	if err := syscall.Flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return false, syscall.Close(file)
	}
	return true, nil // the file stays open as long as the process lives
}

// FreeAddr returns an address of 127.0.0.1 that nobody listens on now.
func FreeAddr() (string, error) {
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	return loopback(ports[0]), nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
