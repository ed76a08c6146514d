package process

import (
	"io"
	"os"
	"strings"
)

// tailBytes is how much of a log a message shows.
const tailBytes = 2 << 10

// Tail is the end of the child's log: at most 2 KiB, from the start of a line.
func (p *Process) Tail() string { return Tail(p.spec.Log) }

// Tail is the end of the file at path: at most 2 KiB, from the start of a line; or why it cannot be read.
func Tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from := max(0, size-tailBytes)
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil {
		return err.Error()
	}
	text := string(b)
	if _, rest, found := strings.Cut(text, "\n"); from > 0 && found {
		text = rest
	}
	return strings.TrimRight(text, "\n")
}
