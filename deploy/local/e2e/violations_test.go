package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
)

// noViolations fails the test for whatever a program asked of NATS that it may not do: a request that is refused waits for
// its answer in vain.
func (b *bed) noViolations() {
	b.t.Helper()
	for _, s := range b.stack.Servers() {
		text, err := os.ReadFile(s.Log())
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was never started
		}
		b.should(err)
		for line := range bytes.Lines(text) {
			if bytes.Contains(line, []byte(" Violation - ")) {
				b.t.Errorf("%s refused: %s", s.Name, line)
			}
		}
	}
}
