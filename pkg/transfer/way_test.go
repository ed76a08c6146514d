package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
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
		{"also where the source gives ranges", part + 1, true, true, false, 0, 1, 0, 0},
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
	for n, size := range []int{2 * part, 3*part + 1, 9*part - 1, 24 * part, 2 * part, 3*part + 1, 9*part - 1, 24 * part} {
		w := newWorld(t)
		if n >= 4 {
			w.copiers[tier.Primary].StreamMax = 1 << 30
		}
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
	for _, broken := range []int64{1, 2, 5, 9, -1, -2, -5, -9} { // negative: streamed
		w := newWorld(t)
		w.source.ranged = true
		if broken < 0 {
			w.copiers[tier.Primary].StreamMax, broken = 1<<30, -broken
		}
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

// TestALargeRecordingIsStreamedWhileStreamsAreQuick lets the clock run by what is read.
func TestALargeRecordingIsStreamedWhileStreamsAreQuick(t *testing.T) {
	w := newWorld(t)
	c, s := w.copiers[tier.Primary], w.stores[tier.Primary]
	now, rate := time.Now(), 10*part // bytes a second
	c.StreamMax, c.StreamFor = 2*part, 4*time.Second
	c.Now = func() time.Time { return now }
	c.Read = func(n int) { now = now.Add(time.Duration(n) * time.Second / time.Duration(rate)) }
	n := 0
	copied := func(size int) (streams, creates int64) {
		n++
		streams, creates = int64(s.Calls(memstore.Stream)), int64(s.Calls(memstore.Create))
		w.must(tier.Primary, w.job(fmt.Sprint("rec-", n), varied(size)), transfer.Stored)
		return int64(s.Calls(memstore.Stream)) - streams, int64(s.Calls(memstore.Create)) - creates
	}
	if streams, creates := copied(30 * part); streams != 1 || creates != 0 {
		t.Errorf("before anything is known: %d streams, %d uploads", streams, creates)
	}
	for range 40 { // the first expectation is forgotten
		copied(2 * part)
	}
	if streams, creates := copied(38 * part); streams != 1 || creates != 0 {
		t.Errorf("at ten parts a second, 38 of them: %d streams, %d uploads", streams, creates)
	}
	if streams, creates := copied(42 * part); streams != 0 || creates != 1 {
		t.Errorf("at ten parts a second, 42 of them: %d streams, %d uploads", streams, creates)
	}
	rate = part
	for range 40 {
		copied(2 * part)
	}
	if streams, creates := copied(6 * part); streams != 0 || creates != 1 {
		t.Errorf("at one part a second, 6 of them: %d streams, %d uploads", streams, creates)
	}
	if streams, creates := copied(2 * part); streams != 1 || creates != 0 {
		t.Errorf("up to the bound, however slow: %d streams, %d uploads", streams, creates)
	}
}

// slowSource gives some bytes at once and the rest so slowly that nobody sees the end.
type slowSource struct {
	at   int
	body []byte
}

func (s slowSource) Open(ctx context.Context, _ mediasource.Request) (*mediasource.Media, error) {
	in, out := io.Pipe()
	context.AfterFunc(ctx, func() { out.CloseWithError(fault.New(fault.Transient, fault.Source, "read", ctx.Err())) })
	go func() { _, _ = out.Write(s.body[:s.at]) }()
	return mediasource.NewMedia(in, int64(len(s.body)), 1<<40), nil
}

func TestAFailedPartEndsTheReadingOfASlowSource(t *testing.T) {
	w := newWorld(t)
	body := varied(4 * part)
	job := w.job("rec-1", body)
	w.copiers[tier.Primary].Source = slowSource{part + 1, body}
	w.stores[tier.Primary].Before(memstore.Part, memstore.Nth(1, fault.New(fault.Throttled, fault.Store, "part", errBroken)))
	w.refused(tier.Primary, job, fault.Throttled)
	w.empty(tier.Primary)
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
