package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/tier/breaker"
	"github.com/twinreel/twinreel/pkg/transfer"
)

func platformFault(c fault.Class, status int) error {
	f := fault.New(c, fault.Platform, "ask the resolver for a fresh link", errBroken)
	f.Status = status
	return f
}

func TestAResolverThatRefusesThreeTimesIsSourceDenied(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(platformFault(fault.Denied, http.StatusForbidden))
	b.fails(b.delivery(1, 1))
	b.fails(b.delivery(1, 2))
	b.ends(b.delivery(1, 3))
	b.dead(queue.SourceDenied)
}

func TestASickOrBusyPlatformNeverCounts(t *testing.T) {
	for name, err := range map[string]error{
		"still transcoding": platformFault(fault.Throttled, http.StatusAccepted), "429": platformFault(fault.Throttled, http.StatusTooManyRequests),
		"503": platformFault(fault.Unavailable, http.StatusServiceUnavailable), "a sick sibling": fault.New(fault.Unavailable, fault.Sibling, "take the sibling's copy", errBroken),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "test12")
			b.source.set(err)
			for n := 1; n <= 20; n++ {
				b.fails(b.delivery(1, n))
				b.clock.move(time.Hour)
				b.hosts.serve("cdn.example.com", b.clock.Now()) // that others are served says nothing here
				b.clock.move(time.Second)
			}
			b.alive()
			b.source.set(nil)
			b.ends(b.delivery(1, 21))
		})
	}
}

func TestAResolverWhoseAnswersAreOfNoUseCounts(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(platformFault(fault.Corrupt, 0))
	for n := 1; n <= 3; n++ {
		b.fails(b.delivery(1, n))
	}
	b.ends(b.delivery(1, 4))
	b.dead(queue.AttemptsExhausted)
}

// late makes a delivery a redrive whose link to the sibling's copy is past its time.
func (b *bed) late(seq uint64, count int) queue.Delivery {
	b.t.Helper()
	d := b.delivery(seq, count)
	e, err := event.Parse(d.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	of := digest.Of(b.source.body)
	e.Type, e.Data.Reason = event.TypeRedrive, "missing_primary"
	e.Data.CopyFrom = &event.CopyFrom{URL: "https://sibling.example.com/x?sig=s3cret", Size: of.Size, SHA256: of.SHA256, CRC64NVME: digest.EncodeCRC64(of.CRC64), ExpiresAt: b.clock.Now().Add(-time.Minute)}
	if d.Body, err = e.Encode(); err != nil {
		b.t.Fatal(err)
	}
	d.Subject = "recordings.redrive.primary"
	b.copier.Sibling = mediasource.NewSibling(mediasource.Config{CopyOrigins: []string{"https://sibling.example.com"}}, 8<<20)
	return d
}

// audited returns the audit events of a kind.
func (b *bed) audited(kind event.AuditKind) (out []event.AuditData) {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), queue.Audit)
	if err != nil {
		b.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		msg, err := s.GetMsg(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		var e struct {
			Type string
			Data event.AuditData
		}
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			b.t.Fatal(err)
		}
		if e.Type == "com.twinreel.audit."+string(kind)+".v1" {
			out = append(out, e.Data)
		}
	}
	return out
}

func TestARedriveThatComesTooLateIsAcknowledgedAndAudited(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.SourceGone, http.StatusForbidden))
	for n := 1; n <= 2; n++ { // a second delivery of the same message is audited once
		b.ends(b.late(7, n))
	}
	got := b.audited(event.AuditRedriven)
	if len(got) != 1 || got[0].Reason != "link_expired" || got[0].IdempotencyKey != "rec-1" || got[0].Tier != "primary" {
		t.Errorf("audited %+v", got)
	}
	b.alive()
	if a, err := b.ledger.Attempts(t.Context(), "rec-1", b.copier.Tier, message(b.late(7, 3)), ""); err != nil || a.Failed != 0 {
		t.Errorf("counted: %+v %v", a, err)
	}
}

func TestARedriveThatComesTooLateStillFindsWhatIsThere(t *testing.T) {
	b := newBed(t, "test12")
	b.ends(b.delivery(1, 1))
	b.source.set(sourceFault(fault.SourceGone, http.StatusForbidden))
	b.ends(b.late(7, 1))
	if got := b.audited(event.AuditRedriven); len(got) != 0 {
		t.Errorf("audited %+v", got)
	}
	if n := testutil.ToFloat64(b.metrics.deliveries.WithLabelValues(string(transfer.AlreadyPresent))); n != 1 {
		t.Errorf("already_present = %v", n)
	}
}

// A replay's letter is removed as it is sent again, so that nobody would plan anew.
func TestAReplayWhoseOldLinkHasExpiredBecomesADeadLetterAgain(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.SourceGone, http.StatusForbidden))
	replayed := func(count int) queue.Delivery {
		d := b.late(7, count)
		d.Body = bytes.Replace(d.Body, []byte(`"reason":"missing_primary"`), []byte(`"reason":"replay"`), 1)
		return d
	}
	b.fails(replayed(1))
	b.clock.move(time.Hour)
	b.fails(replayed(2))
	b.ends(replayed(3))
	b.dead(queue.SourceGone)
	if got := b.audited(event.AuditRedriven); len(got) != 0 {
		t.Errorf("audited %+v", got)
	}
}

func TestALateRedriveWaitsWhileTheAuditLogIsAway(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.SourceGone, http.StatusForbidden))
	b.copier.Audit = refusingAudit{}
	b.fails(b.late(7, 1))
}

func TestACopyOfTheSiblingsCountsForTheStoreAndNotForTheSource(t *testing.T) {
	b := newBed(t, "test12", func(c *Config) { c.Breaker = breaker.Config{Failures: 3, Open: time.Hour} })
	for range 3 {
		b.keeper.health.Failed(b.clock.Now(), "500")
	}
	b.source.set(sourceFault(fault.Unavailable, http.StatusServiceUnavailable))
	for n := 1; n <= 3; n++ {
		d := b.late(uint64(n), 1)
		d.Body = bytes.ReplaceAll(d.Body, []byte("rec-1"), fmt.Appendf(nil, "rec-1%d", n))
		d.Body = bytes.ReplaceAll(d.Body, []byte("/m?sig"), fmt.Appendf(nil, "/m%d?sig", n))
		e, err := event.Parse(d.Body)
		if err != nil {
			t.Fatal(err)
		}
		e.Data.CopyFrom.ExpiresAt = b.clock.Now().Add(time.Hour)
		if d.Body, err = e.Encode(); err != nil {
			t.Fatal(err)
		}
		b.copier.Sibling = &source{body: b.source.body}
		b.fails(b.delivery(uint64(10+n), 1, func(d *event.Data) {
			d.RecordingID, d.Media.URL = fmt.Sprintf("rec-2%d", n), fmt.Sprintf("https://cdn.example.com/%d", n)
		}))
		b.ends(d)
	}
	if v := b.keeper.view(); v.State != tier.Healthy {
		t.Errorf("three were stored in a row, and the tier is %s", v.State)
	}
	if s := b.sick.of("cdn.example.com").State(); s != breaker.Open {
		t.Errorf("the host failed three and served none, and its breaker is %s", s)
	}
}

// byHost is a source that fails at some hosts.
type byHost struct {
	*source
	fails map[string]error
}

func (s byHost) Open(ctx context.Context, r mediasource.Request) (*mediasource.Media, error) {
	if err := s.fails[hostIn(r.URL)]; err != nil {
		return nil, err
	}
	return s.source.Open(ctx, r)
}

// links gives fresh links of another host.
type links struct{}

func (links) Resolve(_ context.Context, _, id string) (string, error) {
	return "https://fresh.example.com/" + id + "?sig=s3cret", nil
}

func TestTheHostOfAFreshLinkIsBlamedAndNotThatOfTheOldOne(t *testing.T) {
	b := newBed(t, "test12", func(c *Config) { c.Breaker = breaker.Config{Failures: 3, Open: time.Millisecond} })
	b.copier.Source = mediasource.Fresh{Links: links{}, Media: sparing{byHost{b.source, map[string]error{
		"cdn.example.com": sourceFault(fault.SourceGone, http.StatusForbidden), "fresh.example.com": sourceFault(fault.Unavailable, http.StatusServiceUnavailable),
	}}, b.sick}}
	for n := 1; n <= 20; n++ { // the old host serves others meanwhile; the fresh link's is down
		b.fails(b.delivery(1, n))
		b.hosts.serve("cdn.example.com", b.clock.Now().Add(time.Second))
		b.clock.move(time.Minute)
	}
	b.alive()
	for n := range 2 {
		b.fails(b.delivery(uint64(2+n), 1, func(d *event.Data) { d.RecordingID = fmt.Sprintf("rec-2%d", n) }))
	}
	if s := b.sick.of("cdn.example.com").State(); s != breaker.Closed {
		t.Errorf("the old link's host answers, and its breaker is %s", s)
	}
	if len(b.sick.of("fresh.example.com").failing) != 3 {
		t.Error("the failures of the fresh link's host are not held against it")
	}
}

// refusingAudit is an audit log that takes nothing.
type refusingAudit struct{}

func (refusingAudit) Audit(context.Context, event.Audit) error {
	return fault.New(fault.Unavailable, fault.Audit, "publish", errBroken)
}
