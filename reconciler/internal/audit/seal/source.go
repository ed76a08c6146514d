package seal

import (
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// at returns the first message from a sequence on, of a subject or of all. scan.ErrNoMessage.
func (s *Sealer) at(ctx context.Context, from uint64, subject string) (scan.Found, error) {
	if subject == "" {
		subject = "audit.>"
	}
	return scan.Ask(ctx, s.JS, queue.Audit, scan.Request{Sequence: from, Next: subject})
}

// lastMark returns the sequence of the last mark in the stream, 0 if there is none.
func (s *Sealer) lastMark(ctx context.Context) (uint64, error) {
	m, err := scan.Ask(ctx, s.JS, queue.Audit, scan.Request{Last: markSubject()})
	if errors.Is(err, scan.ErrNoMessage) {
		return 0, nil
	}
	return m.Sequence, err
}
