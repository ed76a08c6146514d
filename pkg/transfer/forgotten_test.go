package transfer_test

import (
	"context"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// forget sets the entry of rec-1 to forgotten, whatever stands there, as the reconciler does.
func (w *world) forget() {
	w.t.Helper()
	key, gone := event.HashKey("rec-1"), digest.Entry{Forgotten: true}
	held, err := w.agreement.Agree(w.t.Context(), key, gone)
	if err == nil && !held.Forgotten {
		_, err = w.agreement.Replace(w.t.Context(), key, held.Revision, gone)
	}
	if err != nil {
		w.t.Error(err)
	}
}

func TestAForgottenRecordingIsNotEvenFetched(t *testing.T) {
	sidecar := func(body []byte) func(*event.Data) {
		return func(d *event.Data) {
			b, err := event.NewSidecar(event.Event{Data: *d}, digest.Of(body)).Encode()
			if err != nil {
				t.Fatal(err)
			}
			d.Sidecar, d.Media.URL = string(b), ""
		}
	}
	body := media(100)
	d := digest.Of(body)
	copyFrom := func(data *event.Data) {
		data.CopyFrom = &event.CopyFrom{
			URL: "https://sibling.example.com/a", Size: d.Size, SHA256: d.SHA256, CRC64NVME: digest.EncodeCRC64(d.CRC64), ExpiresAt: time.Now().Add(time.Hour),
		}
	}
	for name, c := range map[string]struct {
		change  []func(*event.Data)
		redrive bool
	}{
		"a first delivery":         {},
		"a redrive":                {nil, true},
		"a redrive with a link":    {[]func(*event.Data){copyFrom}, true},
		"a redrive of the archive": {[]func(*event.Data){copyFrom, sidecar(body)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			sibling := &source{media: map[string][]byte{"https://sibling.example.com/a": body}}
			w.copiers[tier.Primary].Sibling = sibling
			job := w.job("rec-1", body, c.change...)
			if job.Again = c.redrive; c.redrive {
				job.Event.Type = event.TypeRedrive
			}
			w.forget()
			w.must(tier.Primary, job, transfer.Forgotten)
			w.must(tier.Primary, again(job), transfer.Forgotten)
			w.empty(tier.Primary)
			if w.source.opened+sibling.opened != 0 {
				t.Errorf("media were opened %d times, the sibling's %d", w.source.opened, sibling.opened)
			}
			if _, found, err := w.copiers[tier.Primary].Settle(t.Context(), job); !found || err != nil {
				t.Errorf("giving it up would leave a letter: %v, %v", found, err)
			}
		})
	}
}

func TestARecordingThatIsForgottenMeanwhileIsNotStored(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(3*part))
	w.source.hook = w.forget // once the media are read
	w.must(tier.Primary, job, transfer.Forgotten)
	w.empty(tier.Primary)
}

func TestAWorkerThatWasFrozenInTheCommitLeavesNoMoreThanEvidence(t *testing.T) {
	w := newWorld(t)
	job := w.job("rec-1", media(100))
	w.stores[tier.Primary].Before(memstore.Put, func(_ context.Context, c memstore.Call) error {
		if c.N == 1 {
			w.forget()
		}
		return nil
	})
	w.refused(tier.Primary, job, fault.Conflict)
	if w.sidecar(tier.Primary, job) != "" || w.audit.count(event.AuditStored, tier.Primary) != 0 || w.audit.count(event.AuditConflict, tier.Primary) != 1 {
		t.Error("want the object alone, which nobody can take back, and a conflict in the log")
	}
	if r, err := w.ledger.Record(t.Context(), "rec-1"); err == nil && r.Primary != nil {
		t.Errorf("the ledger has it: %+v", r)
	}
	w.must(tier.Primary, again(job), transfer.Forgotten)
}
