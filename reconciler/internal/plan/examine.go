package plan

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/readback"
)

// sideBySide is how many subjects are looked at side by side.
const sideBySide = 16

// Examiner looks closely at subjects. Its fields are set before and not changed; it is safe for concurrent use.
type Examiner struct {
	Source evidence.Source
	Rules  Rules
	// Erased reports whether a recording was forgotten on purpose.
	Erased func(ctx context.Context, key string) (bool, error)
	// GivenUp returns the tiers whose dead letter of the recording somebody discarded after a time, with who did, and why.
	GivenUp func(ctx context.Context, key string, after time.Time) (map[tier.Tier]string, error)
	// Proven returns what the sealed log proves of the bytes of each of a recording's objects, given what it claims; nil: nobody
	// can tell, and its word is taken.
	Proven func(ctx context.Context, claimed inventory.Entry) (map[string]inventory.Sealed, error)
	// Due says that a closer look at the recording is due whatever the listings say.
	Due func(key string) bool
	// Letters tells of which tiers' open letters name a recording.
	Letters func(key string) map[tier.Tier]bool
	Reader  *readback.Reader // reads copies whose store reports no checksum
	Waits   queue.Schedule   // before somebody who did not answer is asked again
	Pause   func(ctx context.Context, wait int)

	read   atomic.Int64 // bytes of copies without a checksum, asked for
	unread atomic.Int64 // such copies that are left to the scrub
}

// mostRead is how many bytes of copies without a checksum one run reads back; beyond it a run would last for days. The scrub
// reads every copy, in its own time.
const mostRead = 16 << 30

// Examine says what is wrong with one subject, from answers given now. An error means that somebody did not answer.
func (x *Examiner) Examine(ctx context.Context, s Subject) ([]Finding, error) {
	for failures := 1; ; failures++ {
		f, err := x.facts(ctx, s)
		one := s
		if err == nil {
			one, err = x.proven(ctx, s, f)
		}
		if err == nil {
			return judge(one, f, x.Rules), nil
		}
		if failures == lookTries || ctx.Err() != nil || !fault.Passes(err) {
			return nil, err
		}
		x.Pause(ctx, failures)
	}
}

// lookTries is how often somebody is asked who does not answer.
const lookTries = 5

// facts gathers all that is known of the subject.
func (x *Examiner) facts(ctx context.Context, s Subject) (f Facts, err error) {
	if s.Key == "" {
		return Facts{Evidence: &evidence.Evidence{}}, nil // it can belong to no recording: there is nobody to ask
	}
	if f.Forgotten, err = x.Erased(ctx, s.Key); err != nil {
		return f, err
	}
	if x.over(s, f.Forgotten) {
		f.Evidence = &evidence.Evidence{}
		return f, nil
	}
	if f.Evidence, err = x.Source.Gather(ctx, s.Key, s.ObjectKey()); err != nil {
		return f, err
	}
	f.Letters = x.Letters(s.Key)
	if f.Forgotten = f.Forgotten || f.Evidence.Forgotten(); f.Forgotten {
		return f, nil
	}
	if err := x.alike(ctx, s.Several); err != nil {
		return f, err
	}
	if s.Entry != nil && f.lacking() {
		if f.GivenUp, err = x.GivenUp(ctx, s.Key, s.Entry.Newest); err != nil {
			return f, err
		}
	}
	f.Tags, f.Read = map[tier.Tier]map[string]string{}, map[tier.Tier]digest.Digest{}
	for _, t := range tier.All() {
		if err := x.closer(ctx, t, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

// proven returns the subject with no more than what the sealed log proves, wherever its word decides something: a roster
// that somebody has changed must not accuse a recording that is well, nor say which bytes may come back.
func (x *Examiner) proven(ctx context.Context, s Subject, f Facts) (Subject, error) {
	if x.Proven == nil || s.Entry == nil || !s.Entry.Sealed.Known() || f.Forgotten {
		return s, nil
	}
	agreed, e := f.Agreed(), *s.Entry
	if agreed != nil && !e.Sealed.Torn && agreed.ObjectKey == e.ObjectKey && agreed.Digest == e.Sealed.Digest {
		return s, nil
	}
	e.Sealed = inventory.Sealed{}
	if x.over(s, false) { // nothing is held against it
		s.Entry = &e
		return s, nil
	}
	proven, err := x.Proven(ctx, *s.Entry)
	if err != nil {
		return s, err
	}
	for _, object := range append([]string{e.ObjectKey}, s.Objects...) {
		if sealed, ok := proven[object]; ok {
			e.ObjectKey, e.Sealed = object, sealed
			break
		}
	}
	s.Entry = &e
	return s, nil
}

// over says that the listings tell all there is to say of a recording that has run its course: it was erased and is gone,
// or it is past retention and gone. These grow for ever, and are not asked for again and again. What backup still has of one
// that primary let go is looked at in its turn.
func (x *Examiner) over(s Subject, forgotten bool) bool {
	primary, both := s.gone()
	past := s.Entry != nil && x.Rules.past(s.Entry) && !x.Rules.excused(s.Entry, tier.Primary)
	return both && (forgotten || past) || primary && past && !x.Due(s.Key)
}

// mostVersions is of how many versions of a key the checksums are asked for. More are nobody's repair.
const mostVersions = 16

// alike looks whether versions of other ETags are the same bytes all the same, as the store's own checksums say: an ETag
// depends on how an object was uploaded and encrypted. Azure has no such checksum, and each version has its own ETag, so that
// a deletion that was mended there is for a person to look at.
func (x *Examiner) alike(ctx context.Context, several []Several) error {
	for i := range several {
		v := &several[i]
		if v.Alike || v.Versions > mostVersions {
			continue
		}
		var first *objstore.Info
		same := true
		for listed, err := range x.Source.Stores[v.Tier].List(ctx, v.Key) {
			if err != nil {
				return err
			}
			if listed.Key != v.Key {
				break // it only begins like it
			}
			one, err := x.Source.Stores[v.Tier].StatVersion(ctx, v.Key, listed.VersionID)
			if err != nil {
				return err
			}
			if first == nil {
				first = &one
			}
			if !one.HasCRC64 || one.Size != first.Size || one.CRC64 != first.CRC64 {
				same = false
				break
			}
		}
		v.Alike = same && first != nil
	}
	return nil
}

// closer asks for the tags of a tier's copy, and reads back a copy whose store reports no checksum.
func (x *Examiner) closer(ctx context.Context, t tier.Tier, f *Facts) error {
	o := f.Object[t]
	if o == nil {
		return nil
	}
	tags, err := x.Source.Stores[t].Tags(ctx, o.Key)
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		return fault.New(fault.Transient, fault.Store, "look at "+o.Key, errors.New("it went away meanwhile"))
	case err != nil:
		return err
	}
	f.Tags[t] = tags
	agreed := f.Agreed()
	if o.HasCRC64 || agreed == nil || o.Size != agreed.Size {
		return nil
	}
	if !x.reserve(o.Size) {
		x.unread.Add(1)
		return nil
	}
	f.Read[t], err = x.Reader.Digest(ctx, x.Source.Stores[t], o.Key, o.Size, io.Discard)
	return err
}

// reserve takes so many bytes from what the run may read; false: there are not so many left.
func (x *Examiner) reserve(n int64) bool {
	for {
		have := x.read.Load()
		if have+n > mostRead {
			return false
		}
		if x.read.CompareAndSwap(have, have+n) {
			return true
		}
	}
}

// all looks at many subjects side by side, and hands over what is wrong with each, or why that is not known, in the order of
// the subjects.
func (x *Examiner) all(ctx context.Context, subjects func(visit func(Subject) error) error, done func(Subject, []Finding, error) error) error {
	batch := make([]Subject, 0, 4*sideBySide)
	flush := func() error {
		found, errs := make([][]Finding, len(batch)), make([]error, len(batch))
		var all sync.WaitGroup
		slots := make(chan struct{}, sideBySide)
		for i, s := range batch {
			slots <- struct{}{}
			all.Go(func() {
				found[i], errs[i] = x.Examine(ctx, s)
				<-slots
			})
		}
		all.Wait()
		for i := range batch {
			if err := done(batch[i], found[i], errs[i]); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	err := subjects(func(s Subject) error {
		if batch = append(batch, s); len(batch) < cap(batch) {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
