package wire_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// echo answers with what it is sent.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// ask sends a word and returns what comes back of it.
func ask(addr, word string, within time.Duration) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	b := make([]byte, len(word))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), err
}

func TestEachFaultShowsAndEveryOneIsMended(t *testing.T) {
	const word, while = "thirty-two bytes of conversation", 300 * time.Millisecond
	faults := map[string]struct {
		inject func(*wire.Wire) error
		seen   func(got string, err error) bool
	}{
		"cut":       {(*wire.Wire).Cut, func(_ string, err error) bool { return err != nil && strings.Contains(err.Error(), "refused") }},
		"hang":      {(*wire.Wire).Hang, func(got string, err error) bool { return got == "" && isTimeout(err) }},
		"deaf":      {(*wire.Wire).Deafen, func(got string, err error) bool { return got == "" && isTimeout(err) }},
		"reset":     {func(w *wire.Wire) error { return w.Reset(1) }, func(got string, err error) bool { return got == "" && err != nil && !isTimeout(err) }},
		"break off": {func(w *wire.Wire) error { return w.BreakOff(5) }, func(got string, err error) bool { return len(got) <= 5 && err != nil && !isTimeout(err) }},
		"slow":      {func(w *wire.Wire) error { return w.Slow(1000, 64) }, func(got string, err error) bool { return got == "" && isTimeout(err) }},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := wire.New(name, echo(t))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if got, err := ask(w.Addr, word, 5*time.Second); got != word {
				t.Fatalf("through a sound line came %q, %v", got, err)
			}
			if err := f.inject(w); err != nil {
				t.Fatal(err)
			}
			if got, err := ask(w.Addr, word, while); !f.seen(got, err) {
				t.Errorf("through the faulty line came %q, %v", got, err)
			}
			if err := w.Mend(); err != nil {
				t.Fatal(err)
			}
			if got, err := ask(w.Addr, word, 5*time.Second); got != word {
				t.Errorf("through the mended line came %q, %v", got, err)
			}
		})
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return ok && e.Timeout()
}
