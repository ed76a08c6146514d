package stack

import (
	"net"
	"strconv"
	"testing"
)

func TestAPortIsGivenOnceWhileItsProcessLives(t *testing.T) {
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := reserve(port); taken || err != nil { // nobody listens on it
		t.Errorf("port %d was given twice, %v", port, err)
	}
}
