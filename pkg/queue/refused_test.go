package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// connectAs connects as a program, by the user of another or its own, on provisioned streams.
func connectAs(t *testing.T, program, user string) (*nats.Conn, jetstream.JetStream, <-chan *Refusal) {
	t.Helper()
	const account = "test05"
	_, all := testenv.Account(t, account)
	if _, err := Provision(t.Context(), all, Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	refused := make(chan *Refusal, 8)
	nc, js, err := Connect(Config{
		URLs: []string{testenv.Need(t, testenv.NATSURL)}, User: account + "-" + user, Password: settings.NewSecret(testenv.NATSPassword), Replicas: 1,
	}, program, t.Name(), zap.NewNop(), OnRefusal(func(r *Refusal) { refused <- r }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, js, refused
}

func TestWhatTheServerRefusesSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		program, user string
		do            func(context.Context, *nats.Conn, jetstream.JetStream) error
		want          Refusal
	}{
		"an event": {"ingress", "ingress", func(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
			_, err := NewPublisher(nc, js).Redrive(ctx, tier.Primary, "id", "", []byte("{}"))
			return err
		}, Refusal{"ingress", "test05-ingress", "publish", "recordings.redrive.primary"}},
		"a key": {"ingress", "ingress", func(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
			return NewBucket(nc, js, Tiers).Put(ctx, "primary.x", nil)
		}, Refusal{"ingress", "test05-ingress", "publish", "$KV.twinreel-tiers.primary.x"}},
		"a bucket": {"worker-primary", "worker-primary", func(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
			_, err := NewBucket(nc, js, Leases).Values(ctx, ">")
			return err
		}, Refusal{"worker-primary", "test05-worker-primary", "publish", "$JS.API.DIRECT.GET.KV_twinreel-leases"}},
		"readiness": {"ingress", "ingress", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			return Provisioned(js, 1, Audit)(ctx)
		}, Refusal{"ingress", "test05-ingress", "publish", "$JS.API.STREAM.INFO.AUDIT"}},
		"answers, by another program's user": {"provisioner", "reconciler", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO.RECORDINGS", nil)
			return Refused(nc, err)
		}, Refusal{"provisioner", "test05-reconciler", "subscribe", "_INBOX.provisioner.>"}},
	} {
		t.Run(name, func(t *testing.T) {
			nc, js, refused := connectAs(t, c.program, c.user)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := c.do(ctx, nc, js)
			var got *Refusal
			if !errors.As(err, &got) || *got != c.want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if told := <-refused; *told != c.want {
				t.Errorf("told of %v", told)
			}
			for _, word := range []string{c.want.User, c.want.Subject, c.want.Program, "refused by NATS"} {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %s", err, word)
				}
			}
		})
	}
}

func TestATimeOutThatIsNoRefusalStaysOne(t *testing.T) {
	nc, _, _ := connectAs(t, "ingress", "ingress")
	late := fmt.Errorf("ask: %w", context.DeadlineExceeded)
	if got := Refused(nc, late); got == nil || got.Error() != late.Error() {
		t.Errorf("got %v", got)
	}
	if got := Refused(nc, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestAnotherFailureAfterARefusalIsNotTakenForIt(t *testing.T) {
	nc, _, refused := connectAs(t, "ingress", "ingress")
	if err := nc.Publish("recordings.redrive.primary", nil); err != nil {
		t.Fatal(err)
	}
	<-refused
	other := errors.New("the stream is full")
	if got := Refused(nc, other); got == nil || got.Error() != other.Error() {
		t.Errorf("got %v", got)
	}
}
