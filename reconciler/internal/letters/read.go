package letters

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Read returns all dead letters there are now, grouped, oldest first. Bodies are not kept: a long list costs little memory.
func Read(ctx context.Context, js jetstream.JetStream) ([]Group, error) {
	var list []Letter
	err := scan.Stream(ctx, js, queue.DeadLetters, scan.Range{}, func(m scan.Message) error {
		l, _, _ := open(message{m.Subject, m.Sequence, m.Stored, m.Header, m.Body}) // a body that is no event is listed, too
		list = append(list, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return group(list), nil
}
