package transfer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// serveSibling lets the backup tier take copies from the primary's store, over HTTP. answer, if not nil, stands before it.
func (w *world) serveSibling(answer func(http.ResponseWriter, *http.Request) bool) {
	w.t.Helper()
	store := w.stores[tier.Primary]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if answer == nil || !answer(rw, r) {
			store.ServeHTTP(rw, r)
		}
	}))
	w.t.Cleanup(server.Close)
	store.ServeAt(server.URL)
	c := mediasource.Config{RangeThreshold: 2 * part, MaxBytes: 1 << 30, StallTimeout: 10 * time.Second, CopyOrigins: []string{server.URL}}
	s := mediasource.NewSibling(c, part)
	w.t.Cleanup(s.Close)
	w.copiers[tier.Backup].Sibling = s
}

// answering answers every request for a copy with that status.
func answering(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// redrive makes the job's event a redrive with a link to the primary's copy, of body.
func (w *world) redrive(job transfer.Job, body []byte, change ...func(*event.Data)) transfer.Job {
	w.t.Helper()
	d := digest.Of(body)
	link, err := w.stores[tier.Primary].Link(w.t.Context(), job.Event.Data.ObjectKey, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sequence++
	job.Message.Sequence, job.Again = w.sequence, true
	job.Event.Type, job.Event.Data.Reason = event.TypeRedrive, "missing_backup"
	job.Event.Data.CopyFrom = &event.CopyFrom{URL: link.URL, Size: d.Size, SHA256: d.SHA256, CRC64NVME: digest.EncodeCRC64(d.CRC64), ExpiresAt: link.ExpiresAt}
	for _, f := range change {
		f(&job.Event.Data)
	}
	return job
}

// gone is what a source says whose link is expired.
func gone() error {
	f := fault.New(fault.SourceGone, fault.Source, "get media", errBroken)
	f.Status = http.StatusForbidden
	return f
}

func TestWhereTheLinkIsGoneTheSiblingsCopyIsTaken(t *testing.T) {
	for _, n := range []int{100, part + 1, 5 * part} {
		w := newWorld(t)
		w.serveSibling(nil)
		body := varied(n)
		job := w.job("rec-1", body)
		w.must(tier.Primary, job, transfer.Stored)
		w.source.fail = gone()
		res, err := w.copy(tier.Backup, w.redrive(job, body))
		if err != nil || res.Outcome != transfer.Stored || !res.FromSibling {
			t.Fatalf("%d bytes: %+v %v", n, res, err)
		}
		w.holds(tier.Backup, job, body)
		if w.sidecar(tier.Backup, job) != w.sidecar(tier.Primary, job) {
			t.Error("the sidecars differ")
		}
	}
}

func TestThePlatformComesBeforeTheSibling(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.serveSibling(func(http.ResponseWriter, *http.Request) bool { asked++; return false })
	body := media(100)
	job := w.job("rec-1", body)
	w.must(tier.Primary, job, transfer.Stored)
	res, err := w.copy(tier.Backup, w.redrive(job, body))
	if err != nil || res.FromSibling || asked != 0 {
		t.Errorf("%+v %v, the sibling was asked %d times", res, err, asked)
	}
}

// TestMediaThatChangeBetweenTheTiersEndInTheAgreedBytesByTheSibling is a platform that re-encodes: the tier that comes
// second does not commit; a redrive with the sibling's copy makes the two agree.
func TestMediaThatChangeBetweenTheTiersEndInTheAgreedBytesByTheSibling(t *testing.T) {
	for _, n := range []int{100, 3 * part} {
		w := newWorld(t)
		w.serveSibling(nil)
		body, other := varied(n), media(n)
		job := w.job("rec-1", body)
		w.must(tier.Primary, job, transfer.Stored)
		w.source.put(job.Event.Data.Media.URL, other)
		w.refused(tier.Backup, job, fault.Conflict)
		w.empty(tier.Backup)
		w.must(tier.Backup, w.redrive(job, body), transfer.Stored)
		for _, tr := range tier.All() {
			w.holds(tr, job, body)
		}
		late := w.redrive(job, body, func(d *event.Data) { d.CopyFrom.ExpiresAt = time.Now().Add(-time.Second) })
		w.stores[tier.Backup].Lose(job.Event.Data.ObjectKey)
		if _, err := w.copy(tier.Backup, late); !errors.Is(err, transfer.ErrLinkExpired) {
			t.Errorf("an expired link: %v", err)
		}
	}
}

// TestWithoutAnEntryTheSiblingsDigestIsWhatIsExpected covers entries that were purged once both tiers were confirmed.
func TestWithoutAnEntryTheSiblingsDigestIsWhatIsExpected(t *testing.T) {
	w := newWorld(t)
	w.serveSibling(nil)
	body, other := media(100), append(media(99), 'x')
	job := w.job("rec-1", body)
	w.must(tier.Primary, job, transfer.Stored)
	was := w.sidecar(tier.Primary, job)
	w.agreement.Purge(event.HashKey("rec-1"))
	w.ledger.Clear()
	w.source.put(job.Event.Data.Media.URL, other)

	re := w.redrive(job, body, func(d *event.Data) { d.Sidecar, d.Media.URL, d.Tags, d.Participants = was, "", nil, nil })
	w.source.put("", other)
	w.must(tier.Backup, re, transfer.Stored)
	w.holds(tier.Backup, job, body)
	held, err := w.agreement.Get(t.Context(), event.HashKey("rec-1"))
	if err != nil || string(held.Sidecar) != was || w.sidecar(tier.Backup, job) != was {
		t.Errorf("the sidecar was not taken over: %s %v", held.Sidecar, err)
	}
}

// TestWithoutAnEntryOrASidecarTheCopysDigestIsExpected lets the platform re-encode after both tiers were confirmed: its new
// bytes must not become the agreement, since the sibling holds others.
func TestWithoutAnEntryOrASidecarTheCopysDigestIsExpected(t *testing.T) {
	w := newWorld(t)
	w.serveSibling(nil)
	body, other := media(100), append(media(99), 'x')
	job := w.job("rec-1", body)
	w.must(tier.Primary, job, transfer.Stored)
	w.agreement.Purge(event.HashKey("rec-1"))
	w.ledger.Clear()
	w.source.put(job.Event.Data.Media.URL, other)
	w.must(tier.Backup, w.redrive(job, body), transfer.Stored)
	w.holds(tier.Backup, job, body)
	held, err := w.agreement.Get(t.Context(), event.HashKey("rec-1"))
	if err != nil || held.Digest != digest.Of(body) {
		t.Errorf("agreed on %+v %v", held.Digest, err)
	}
}

func TestASidecarThatIsNotTheCopysIsRefused(t *testing.T) {
	for name, change := range map[string]func(w *world, d *event.Data){
		"of other bytes":       func(_ *world, d *event.Data) { d.CopyFrom.SHA256 = digest.Of([]byte("x")).SHA256 },
		"of another recording": func(w *world, d *event.Data) { d.Sidecar = w.sidecar(tier.Primary, w.other()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serveSibling(nil)
			job := w.job("rec-1", media(100))
			w.must(tier.Primary, job, transfer.Stored)
			re := w.redrive(job, media(100), func(d *event.Data) { d.Sidecar = w.sidecar(tier.Primary, job); change(w, d) })
			w.agreement.Purge(event.HashKey("rec-1"))
			w.ledger.Clear()
			w.refused(tier.Backup, re, fault.Conflict)
			w.empty(tier.Backup)
		})
	}
}

// other is a second recording that the primary tier has.
func (w *world) other() transfer.Job {
	job := w.job("rec-2", media(50))
	w.must(tier.Primary, job, transfer.Stored)
	return job
}

func TestAnExpiredLinkToACopyIsNobodysFailure(t *testing.T) {
	body := media(100)
	past := func(d *event.Data) { d.CopyFrom.ExpiresAt = time.Now().Add(-time.Second) }
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		change func(*event.Data)
		cause  error
	}{
		"past its time":        {nil, past, gone()},
		"the source is down":   {nil, past, fault.New(fault.Unavailable, fault.Source, "get", errBroken)},
		"the resolver refuses": {nil, past, fault.New(fault.Denied, fault.Platform, "ask", errBroken)},
		"401":                  {answering(401), func(*event.Data) {}, gone()},
		"403":                  {answering(403), func(*event.Data) {}, gone()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serveSibling(c.answer)
			job := w.job("rec-1", body)
			w.must(tier.Primary, job, transfer.Stored)
			w.source.fail = c.cause
			if _, err := w.copy(tier.Backup, w.redrive(job, body, c.change)); !errors.Is(err, transfer.ErrLinkExpired) || fault.PartOf(err) != fault.Sibling {
				t.Errorf("%v of %v", err, fault.PartOf(err))
			}
			w.source.fail = nil // what can be had from the platform is taken, however old the link
			w.must(tier.Backup, w.redrive(job, body, c.change), transfer.Stored)
		})
	}
}

func TestASickSiblingIsNobodysFailureAndAUselessCopyLeavesTheCause(t *testing.T) {
	body := media(100)
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		change func(*event.Data)
		class  fault.Class
		part   fault.Part
	}{
		"503":             {answering(503), nil, fault.Unavailable, fault.Sibling},
		"429":             {answering(429), nil, fault.Throttled, fault.Sibling},
		"404":             {answering(404), nil, fault.SourceGone, fault.Source},
		"another origin":  {nil, func(d *event.Data) { d.CopyFrom.URL = "http://127.0.0.1:1/x" }, fault.SourceGone, fault.Source},
		"no link":         {nil, func(d *event.Data) { d.CopyFrom.URL = "" }, fault.SourceGone, fault.Source},
		"other bytes":     {otherCopy, nil, fault.SourceGone, fault.Source},
		"a digest of its": {nil, func(d *event.Data) { d.CopyFrom.CRC64NVME = digest.EncodeCRC64(1) }, fault.SourceGone, fault.Source},
		"another size":    {nil, func(d *event.Data) { d.CopyFrom.Size++ }, fault.SourceGone, fault.Source},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serveSibling(c.answer)
			job := w.job("rec-1", body)
			w.must(tier.Primary, job, transfer.Stored)
			w.source.fail = gone()
			if c.change == nil {
				c.change = func(*event.Data) {}
			}
			_, err := w.copy(tier.Backup, w.redrive(job, body, c.change))
			if !fault.Is(err, c.class, c.part) {
				t.Errorf("%v (%v of %v), want %v of %v", err, fault.ClassOf(err), fault.PartOf(err), c.class, c.part)
			}
			w.empty(tier.Backup)
		})
	}
}

// otherCopy is a sibling's store that gives other bytes of the right length.
func otherCopy(w http.ResponseWriter, _ *http.Request) bool {
	_, _ = w.Write(append(media(99), 'x'))
	return true
}

func TestOnlyARedriveMayTakeTheSiblingsCopy(t *testing.T) {
	w := newWorld(t)
	w.serveSibling(nil)
	job := w.job("rec-1", media(100))
	w.must(tier.Primary, job, transfer.Stored)
	w.source.fail = gone()
	re := w.redrive(job, media(100))
	re.Event.Type = event.TypeCompleted
	w.refused(tier.Backup, re, fault.SourceGone)
	w.copiers[tier.Backup].Sibling = nil // TWINREEL_COPY_FROM_ORIGINS is unset
	w.refused(tier.Backup, w.redrive(job, media(100), func(d *event.Data) { d.CopyFrom.ExpiresAt = time.Time{} }), fault.SourceGone)
	w.empty(tier.Backup)
}

func TestTheOwnStoresFailureIsNotTheSourcesAndAsksNoSibling(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.serveSibling(func(http.ResponseWriter, *http.Request) bool { asked++; return false })
	job := w.job("rec-1", media(100))
	w.must(tier.Primary, job, transfer.Stored)
	w.stores[tier.Backup].Before(memstore.Put, memstore.Always(fault.New(fault.Unavailable, fault.Store, "put", errBroken)))
	w.refused(tier.Backup, w.redrive(job, media(100)), fault.Unavailable)
	if asked != 0 {
		t.Errorf("the sibling was asked %d times", asked)
	}
}

// TestAnEventThatContradictsTheAgreementIsNotHealedByACopy keeps such letters open until somebody decides.
func TestAnEventThatContradictsTheAgreementIsNotHealedByACopy(t *testing.T) {
	w := newWorld(t)
	w.serveSibling(nil)
	body := media(100)
	job := w.job("rec-1", body)
	w.must(tier.Primary, job, transfer.Stored)
	wrong := int64(99)
	w.refused(tier.Backup, w.redrive(job, body, func(d *event.Data) { d.Media.Size = &wrong }), fault.Conflict)
	w.empty(tier.Backup)
}
