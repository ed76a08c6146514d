package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// What of the server's max_payload is left free: for headers always, and at acceptance for what a redrive adds.
const (
	headerRoom = 4 << 10
	headroom   = 32 << 10
)

// ErrTooLarge is returned for an event that the server would not take, now or when it is sent again.
var ErrTooLarge = errors.New("the event is too large for the server's max_payload")

// Publisher publishes and waits for the stream's acknowledgement. It is safe for concurrent use.
type Publisher struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// NewPublisher returns a Publisher on the connection.
func NewPublisher(nc *nats.Conn, js jetstream.JetStream) *Publisher {
	return &Publisher{nc: nc, js: js}
}

// Completed publishes the event of an accepted recording. duplicate says that the stream had it already (same event ID,
// within its window). It returns nil only after the stream's acknowledgement; ErrTooLarge before anything is sent; any
// other error means that the stream did not confirm before ctx ended, is full, or is away.
func (p *Publisher) Completed(ctx context.Context, r Route, e event.Event, traceparent string) (duplicate bool, err error) {
	// What no worker could read must not be accepted, whatever made it so.
	if err := e.Check(); err != nil {
		return false, err
	}
	body, err := e.Encode()
	if err != nil {
		return false, err
	}
	if err := p.fits(e, len(body)); err != nil {
		return false, err
	}
	return p.event(ctx, CompletedSubject(r), e.ID, traceparent, body)
}

// fits checks that the server takes the event, now and when it is sent again, and the digest entry that the workers will
// make of it: there the sidecar is a JSON string, which may be up to twice as long.
func (p *Publisher) fits(e event.Event, size int) error {
	limit := p.nc.MaxPayload()
	if limit <= 0 || int64(size) <= (limit-headroom)/3 {
		return nil
	}
	if int64(size) > limit-headroom {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, limit-headroom)
	}
	entry, err := event.EntrySize(e)
	if err != nil {
		return err
	}
	if int64(entry) > limit-headroom {
		return fmt.Errorf("%w: its digest entry would have %d bytes, at most %d", ErrTooLarge, entry, limit-headroom)
	}
	return nil
}

// Redrive sends the bytes of a redrive event to one tier, under a message ID of its own.
func (p *Publisher) Redrive(ctx context.Context, t tier.Tier, msgID, traceparent string, body []byte) (duplicate bool, err error) {
	return p.event(ctx, RedriveSubject(t), msgID, traceparent, body)
}

func (p *Publisher) event(ctx context.Context, subject, msgID, traceparent string, body []byte) (bool, error) {
	if limit := p.nc.MaxPayload(); limit > 0 && int64(len(body)) > limit-headerRoom {
		return false, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), limit-headerRoom)
	}
	msg := nats.NewMsg(subject)
	msg.Data = body
	msg.Header["Content-Type"] = []string{event.ContentType}
	if traceparent != "" {
		msg.Header["traceparent"] = []string{traceparent} // lower case, as W3C and the contract have it
	}
	ack, err := p.publish(ctx, msg, Recordings, msgID)
	if err != nil {
		return false, err
	}
	return ack.Duplicate, nil
}

// Again publishes a message of a stream once more, header and body as they were, under a message ID of its own.
func (p *Publisher) Again(ctx context.Context, stream, subject, msgID string, header nats.Header, body []byte) error {
	msg := nats.NewMsg(subject)
	msg.Data = body
	for name, values := range header {
		if !strings.HasPrefix(name, "Nats-") { // the server's own
			msg.Header[name] = values
		}
	}
	if _, err := p.publish(ctx, msg, stream, msgID); err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "publish a message again", err)
	}
	return nil
}

// Audit publishes an audit event and waits for its acknowledgement. Errors are faults of part Audit.
func (p *Publisher) Audit(ctx context.Context, a event.Audit) error {
	body, err := a.Encode()
	if err != nil {
		return err
	}
	msg := nats.NewMsg(AuditSubject(string(a.Kind), a.Tier))
	msg.Data = body
	msg.Header["Content-Type"] = []string{event.ContentType}
	if _, err := p.publish(ctx, msg, Audit, a.MsgID); err != nil {
		return fault.New(fault.Unavailable, fault.Audit, "publish audit event "+string(a.Kind), err)
	}
	return nil
}

// publish sends msg until the stream has acknowledged it or ctx ends. A concurrent duplicate on a replicated stream is
// answered with an error until the first is stored, so that one is repeated.
func (p *Publisher) publish(ctx context.Context, msg *nats.Msg, stream, msgID string) (*jetstream.PubAck, error) {
	options := []jetstream.PublishOpt{jetstream.WithExpectStream(stream)}
	if msgID != "" {
		options = append(options, jetstream.WithMsgID(msgID))
	}
	for {
		ack, err := p.js.PublishMsg(ctx, msg, options...)
		if err == nil {
			return ack, nil
		}
		if codeOf(err) != errDuplicateRunning {
			return nil, fmt.Errorf("publish to %s: %w", stream, Refused(p.nc, err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("publish to %s: a duplicate is still being stored: %w", stream, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
