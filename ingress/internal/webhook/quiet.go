package webhook

import (
	"bytes"
	"log"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
)

// quiet returns the logger that net/http reports trouble with connections to. Each report is one line: what follows a
// panic's first line (the stack) could hold a payload.
func quiet(l *zap.Logger) *log.Logger {
	return log.New(lineWriter{l}, "", 0)
}

type lineWriter struct{ log *zap.Logger }

// Write logs the first line of p.
func (w lineWriter) Write(p []byte) (int, error) {
	first, _, _ := bytes.Cut(bytes.TrimSpace(p), []byte("\n"))
	w.log.Warn("http", zap.String("error", fault.Clean(string(first))))
	return len(p), nil
}
