package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// varied returns n bytes that begin like a WAV and are all over different.
func varied(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := media(n)
	for i := 12; i < n; i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestEverySizeTakesItsWay(t *testing.T) {
	for _, c := range []struct {
		name                       string
		size                       int
		stream, ranged, again      bool
		puts, streams, creates, in int // requests for the media: in counts parts
	}{
		{"a recording of one buffer goes whole", part, true, true, false, 1, 0, 0, 0},
		{"a larger one in one streamed request", part + 1, true, false, false, 0, 1, 0, 0},
		{"up to a bound", 4 * part, true, false, false, 0, 1, 0, 0},
		{"then in parts", 4*part + 1, true, false, false, 0, 0, 1, 5},
		{"in parts where the store takes no stream", part + 1, false, false, false, 0, 0, 1, 2},
		{"in parts where the source gives ranges", part + 1, true, true, false, 0, 0, 1, 2},
		{"in parts once something broke", part + 1, true, false, true, 0, 0, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.source.ranged = c.ranged
			if c.stream {
				w.copiers[tier.Primary].StreamMax = 4 * part
			}
			body := varied(c.size)
			job := w.job("rec-1", body)
			job.Again = c.again
			w.must(tier.Primary, job, transfer.Stored)
			w.holds(tier.Primary, job, body)
			s := w.stores[tier.Primary]
			puts, streams, creates, in := s.Calls(memstore.Put)-1, s.Calls(memstore.Stream), s.Calls(memstore.Create), s.Calls(memstore.Part)
			if puts != c.puts || streams != c.streams || creates != c.creates || in != c.in {
				t.Errorf("%d puts, %d streams, %d uploads of %d parts", puts, streams, creates, in)
			}
		})
	}
}

// TestRangesMayComeInAnyOrder lets ranges come three by three, the last of each three first.
func TestRangesMayComeInAnyOrder(t *testing.T) {
	for _, size := range []int{2 * part, 3*part + 1, 9*part - 1, 24 * part} {
		w := newWorld(t)
		w.buffers = transfer.NewBuffers(16*part, part)
		w.copiers[tier.Primary].Buffers = w.buffers
		w.source.ranged = true
		come := make([]chan struct{}, size/part+2)
		for n := range come {
			come[n] = make(chan struct{})
		}
		w.source.filled = func(off int64) error {
			n := int(off / part)
			defer close(come[n])
			if n%3 != 2 && (n+1)*part < size {
				<-come[n+1]
			}
			return nil
		}
		body := varied(size)
		job := w.job("rec-1", body)
		w.must(tier.Primary, job, transfer.Stored)
		w.holds(tier.Primary, job, body)
	}
}

func TestABrokenRangeEndsTheCopyAndLeavesNothing(t *testing.T) {
	for _, broken := range []int64{1, 2, 5, 9} {
		w := newWorld(t)
		w.source.ranged = true
		w.source.filled = func(off int64) error {
			if off == broken*part {
				return fault.New(fault.Unavailable, fault.Source, "read", errBroken)
			}
			return nil
		}
		body := varied(9*part + 3)
		job := w.job("rec-1", body)
		if _, err := w.copy(tier.Primary, job); !errors.Is(err, errBroken) || !fault.Is(err, fault.Unavailable, fault.Source) {
			t.Fatalf("range %d: %v", broken, err)
		}
		w.empty(tier.Primary)
		w.source.filled = nil
		w.must(tier.Primary, again(job), transfer.Stored)
		w.holds(tier.Primary, job, body)
	}
}

func TestABrokenPartIsTheReasonAndNotWhatItEnded(t *testing.T) {
	for nth := 1; nth <= 5; nth++ {
		w := newWorld(t)
		w.source.ranged = nth%2 == 0
		w.stores[tier.Primary].Before(memstore.Part, memstore.Nth(nth, fault.New(fault.Throttled, fault.Store, "part", errBroken)))
		w.refused(tier.Primary, w.job("rec-1", varied(6*part)), fault.Throttled)
		w.empty(tier.Primary)
	}
}

func TestMediaThatEndEarlyAreNotCommittedOnAnyWay(t *testing.T) {
	for name, set := range map[string]func(*world){
		"streamed": func(w *world) { w.copiers[tier.Primary].StreamMax = 1 << 30 },
		"parts":    func(*world) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			set(w)
			for _, missing := range []int{1, part, 3*part - 1} {
				w.source.cut = missing
				job := w.job(fmt.Sprint("rec-", missing), varied(4*part))
				w.refused(tier.Primary, job, fault.Corrupt)
				w.source.cut = -1 // one more than promised
				w.refused(tier.Primary, again(job), fault.Corrupt)
				w.empty(tier.Primary)
				w.source.cut = 0
			}
		})
	}
}

func TestAStreamWaitsForTheAgreement(t *testing.T) {
	w := newWorld(t)
	for _, c := range w.copiers {
		c.StreamMax = 1 << 30
	}
	body := varied(3 * part)
	job := w.job("rec-1", body)
	w.stores[tier.Primary].Before(memstore.Commit, func(ctx context.Context, _ memstore.Call) error {
		if _, err := w.agreement.Get(ctx, event.HashKey("rec-1")); err != nil {
			t.Error("the stream was committed before there was an agreement")
		}
		return nil
	})
	w.must(tier.Primary, job, transfer.Stored)
	other := bytes.Clone(body)
	other[len(other)-1]++
	w.source.put(job.Event.Data.Media.URL, other) // what the sibling is given
	w.refused(tier.Backup, job, fault.Conflict)
	w.empty(tier.Backup)
}

func TestAStreamThatMeetsTheObjectFindsItOut(t *testing.T) {
	w := newWorld(t)
	w.copiers[tier.Primary].StreamMax = 1 << 30
	body := varied(3 * part)
	job := w.job("rec-1", body)
	w.stores[tier.Primary].Plant(job.Event.Data.ObjectKey, memstore.Object{Body: body})
	w.must(tier.Primary, job, transfer.AlreadyPresent)
	w.holds(tier.Primary, job, body)
	if n := w.stores[tier.Primary].Calls(memstore.Stream); n != 1 {
		t.Errorf("%d streams", n)
	}
}
