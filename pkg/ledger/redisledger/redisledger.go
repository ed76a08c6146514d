// Package redisledger is the ledger in Redis: claims by SET NX PX with a token, attempts and records in hashes. Each
// method is one script and one round trip. Key names are the contract's, with one besides: {id}:upload:<tier> holds the
// ID of an open upload beyond the life of its lease, so that the next holder learns of it.
//
// Redis may be away, slow, empty or frozen at any time: then methods fail within about two seconds with a fault of class
// Unavailable and part Ledger, and nothing is tried again by itself.
package redisledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Ledger is a ledger.Ledger in Redis. It is safe for concurrent use.
type Ledger struct {
	client *redis.Client
	run    scripts
	prefix string
	ttl    string // in ms
}

// Open returns the Ledger. Redis need not be up: only settings that cannot be used are an error. It silences the
// client library's own log for the whole process: it prints addresses, and callers log each failure themselves.
func Open(c Config) (*Ledger, error) {
	client, err := c.client()
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	logging.Disable()
	return &Ledger{client: client, run: newScripts(), prefix: c.Prefix, ttl: millis(c.TTL)}, nil
}

// Close closes the connections.
func (l *Ledger) Close() error { return l.client.Close() }

// Ping implements ledger.Ledger.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.client.Ping(ctx).Err(); err != nil {
		return unanswered("ping", err)
	}
	return nil
}

// Claim implements ledger.Ledger.
func (l *Ledger) Claim(ctx context.Context, id string, t tier.Tier) (ledger.Claim, error) {
	token := rand.Text()
	got, err := l.run.claim.Run(ctx, l.client, l.keys(id, t), token, millis(ledger.LeaseTime)).StringSlice()
	if err == nil && len(got) != 2 {
		err = errShape
	}
	if err != nil {
		return ledger.Claim{}, unanswered("claim "+id, err)
	}
	switch got[0] {
	case "held":
		return ledger.Claim{State: ledger.Held}, nil
	case "done":
		return ledger.Claim{State: ledger.Done, Orphan: got[1]}, nil
	}
	return ledger.Claim{State: ledger.Claimed, Orphan: got[1], Lease: &lease{ledger: l, id: id, tier: t, token: token}}, nil
}

// Finished implements ledger.Ledger.
func (l *Ledger) Finished(ctx context.Context, id string, t tier.Tier, c ledger.Copy) (ledger.Record, error) {
	fields, err := l.run.finished.Run(ctx, l.client, l.keys(id, t), l.copyArgs("", t, c)...).StringSlice()
	if err != nil {
		return ledger.Record{}, unanswered("note the copy of "+id, err)
	}
	return decode(id, fields)
}

// Fail implements ledger.Ledger.
func (l *Ledger) Fail(ctx context.Context, id string, t tier.Tier, m ledger.Message, f ledger.Failure) (ledger.Attempts, error) {
	counted := 0
	if f.Counted {
		counted = 1
	}
	got, err := l.run.fail.Run(ctx, l.client, []string{l.attemptsKey(id, t, m), l.recordKey(id)}, f.Kind, l.ttl, t.String(), counted, instant(f.At)).StringSlice()
	if err != nil {
		return ledger.Attempts{}, unanswered("count a failure of "+id, err)
	}
	return attempts("count a failure of "+id, got)
}

// Attempts implements ledger.Ledger.
func (l *Ledger) Attempts(ctx context.Context, id string, t tier.Tier, m ledger.Message, kind string) (ledger.Attempts, error) {
	got, err := l.run.attempts.Run(ctx, l.client, []string{l.attemptsKey(id, t, m)}, kind).StringSlice()
	if err != nil {
		return ledger.Attempts{}, unanswered("read the attempts of "+id, err)
	}
	return attempts("read the attempts of "+id, got)
}

// Letter implements ledger.Ledger.
func (l *Ledger) Letter(ctx context.Context, id string, t tier.Tier, reason string) error {
	if err := l.run.letter.Run(ctx, l.client, []string{l.recordKey(id)}, reason, l.ttl, t.String()).Err(); err != nil {
		return unanswered("note a dead letter of "+id, err)
	}
	return nil
}

// Record implements ledger.Ledger.
func (l *Ledger) Record(ctx context.Context, id string) (ledger.Record, error) {
	fields, err := l.client.HGetAll(ctx, l.recordKey(id)).Result()
	if err != nil {
		return ledger.Record{}, unanswered("read the record of "+id, err)
	}
	if len(fields) == 0 {
		return ledger.Record{}, ledger.ErrNoRecord
	}
	return assemble(id, fields)
}

// key returns a key of the recording. The braces keep a recording's keys on one node of a cluster.
func (l *Ledger) key(id, rest string) string { return l.prefix + ":{" + id + "}:" + rest }

func (l *Ledger) recordKey(id string) string { return l.key(id, "record") }

func (l *Ledger) attemptsKey(id string, t tier.Tier, m ledger.Message) string {
	return l.key(id, fmt.Sprintf("attempts:%s:%s:%d", t, m.Stream, m.Sequence))
}

// keys are those of a claim, in the order that the scripts expect.
func (l *Ledger) keys(id string, t tier.Tier) []string {
	return []string{l.key(id, "claim:"+t.String()), l.key(id, "upload:"+t.String()), l.recordKey(id)}
}

// errShape is an answer that no script of ours gives.
var errShape = errors.New("an answer of another shape than the script's")

// unanswered puts an error of the client, a context's end included, into its class.
func unanswered(op string, err error) error {
	return fault.New(fault.Unavailable, fault.Ledger, op, err)
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
