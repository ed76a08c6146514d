package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// leaderKey is the key under which the leader of the reconcilers stands.
const leaderKey = "reconciler"

// Times of the leader's lease. It lives as long as the bucket keeps an entry; its holder stops to believe in it a while
// before, counted from when it asked for the renewal, so that what it does then is over when another takes the lead.
const (
	leaderLife  = 50 * time.Second
	leaderRenew = 15 * time.Second
	leaderRetry = 3 * time.Second // after no answer, and between tries to take the lead
	leaderAsk   = 5 * time.Second // for one answer
)

// Leader lets one of several instances lead. It is safe for concurrent use.
//
// For a moment two may lead: one that was frozen does not know yet that its lease has lapsed. What a leader does must be
// harmless when it is done twice.
type Leader struct {
	js                 jetstream.JetStream
	instance           string
	log                *zap.Logger
	standby            bool
	life, renew, retry time.Duration

	mu     sync.Mutex
	holder string // who leads as far as known, "" for nobody
	said   string // the trouble that was logged last
}

// leaderValue is what stands in the bucket.
type leaderValue struct {
	Instance string    `json:"instance"`
	Since    time.Time `json:"since"` // of this term, UTC
	Standby  bool      `json:"standby,omitempty"`
}

// NewLeader returns a Leader that does not lead before Run runs. instance is this process and no other.
func NewLeader(js jetstream.JetStream, instance string, log *zap.Logger) *Leader {
	return &Leader{js: js, instance: instance, log: log, life: leaderLife, renew: leaderRenew, retry: leaderRetry}
}

// Stand has this instance lead only while no other does that is no standby: such a one takes the lead from it at once.
func (l *Leader) Stand() { l.standby = true }

// Run takes the lead whenever nobody has it, until ctx ends. While this instance leads, lead runs; its context ends when
// the lease is lost, cannot be renewed, or ctx ends, and then it returns soon. The lease is given back once it has.
func (l *Leader) Run(ctx context.Context, lead func(context.Context)) {
	for ctx.Err() == nil {
		if t, won := l.win(ctx); won {
			l.log.Info("leading")
			l.hold(ctx, t, lead)
			l.log.Info("no longer leading")
		}
		pause(ctx, l.retry)
	}
}

// Check is a readiness detail: nil while this instance leads, else an error that says who does.
func (l *Leader) Check(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.holder {
	case l.instance:
		return nil
	case "":
		return errors.New("stands by; nobody is known to lead")
	}
	return fmt.Errorf("stands by; %s leads", l.holder)
}

// term is the lease as this instance holds it.
type term struct {
	kv       jetstream.KeyValue
	value    []byte
	revision uint64
	until    time.Time // by our clock
}

// win tries once to take the lead.
func (l *Leader) win(ctx context.Context) (*term, bool) {
	ctx, cancel := context.WithTimeout(ctx, leaderAsk)
	defer cancel()
	kv, err := l.js.KeyValue(ctx, queue.Leases)
	if err != nil {
		l.trouble(err)
		return nil, false
	}
	value, _ := json.Marshal(leaderValue{l.instance, time.Now().UTC(), l.standby}) // it cannot fail
	t := &term{kv: kv, value: value, until: time.Now().Add(l.life)}
	t.revision, err = kv.Create(ctx, leaderKey, value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return t, l.known(ctx, t)
	}
	if err != nil {
		l.trouble(err)
		return nil, false
	}
	l.know(l.instance)
	return t, true
}

// known looks who leads. An entry of our own is one whose acknowledgement was lost: it is renewed, and held. From a standby the
// lead is taken: its next renewal tells it.
func (l *Leader) known(ctx context.Context, t *term) bool {
	e, err := t.kv.Get(ctx, leaderKey)
	if err != nil {
		l.know("")
		return false
	}
	var v leaderValue
	_ = json.Unmarshal(e.Value(), &v) // what cannot be read is another's
	if v.Instance != l.instance && (l.standby || !v.Standby) {
		l.know(v.Instance)
		return false
	}
	t.revision, t.until = e.Revision(), time.Now().Add(l.life)
	if t.revision, err = t.kv.Update(ctx, leaderKey, t.value, t.revision); err != nil {
		return false
	}
	l.know(l.instance)
	return true
}

// hold runs lead for as long as the lease can be renewed.
func (l *Leader) hold(ctx context.Context, t *term, lead func(context.Context)) {
	leading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); lead(leading) }()
	held := l.keep(leading, t, ended)
	l.know("")
	stop()
	<-ended
	if !held {
		return
	}
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaderAsk)
	defer cancel()
	if err := t.kv.Delete(back, leaderKey, jetstream.LastRevision(t.revision)); err != nil {
		l.log.Warn("the lead could not be given back; it lapses within a minute", zap.String("error", fault.Text(err)))
	}
}

// keep renews the lease until ctx ends or lead has ended. It returns false once the lease is lost.
func (l *Leader) keep(ctx context.Context, t *term, ended <-chan struct{}) (held bool) {
	wait := l.renew
	for {
		select {
		case <-ctx.Done():
			return true
		case <-ended:
			return true
		case <-time.After(min(wait, time.Until(t.until))):
		}
		asked := time.Now()
		answer, cancel := context.WithDeadline(ctx, earlier(t.until, asked.Add(leaderAsk)))
		revision, err := t.kv.Update(answer, leaderKey, t.value, t.revision)
		cancel()
		switch {
		case err == nil:
			t.revision, t.until, wait = revision, asked.Add(l.life), l.renew
		case ctx.Err() != nil:
			return true
		case wrongRevision(err):
			// Either it is another's by now, or the answer to our last renewal was lost.
			answer, cancel := context.WithTimeout(ctx, leaderAsk)
			held := l.known(answer, t)
			cancel()
			if !held {
				return false
			}
		case !time.Now().Before(t.until):
			l.trouble(err)
			return false
		default:
			wait = l.retry
		}
	}
}

// know notes who leads.
func (l *Leader) know(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder, l.said = holder, ""
}

// trouble logs what keeps this instance from leading, once.
func (l *Leader) trouble(err error) {
	text := fault.Text(err)
	l.mu.Lock()
	known := l.said == text
	l.holder, l.said = "", text
	l.mu.Unlock()
	if !known {
		l.log.Warn("the lead cannot be taken", zap.String("error", text))
	}
}

// wrongRevision says that the entry is not the one that was to be replaced.
func wrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
