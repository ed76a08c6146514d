// Package evidence is what is known of one recording at this moment: what the tiers agreed on, and what each store holds.
//
// Every part of it was answered; where one was not there is no evidence at all.
package evidence

import (
	"bytes"
	"cmp"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Evidence is what is known. What is nil is not there.
type Evidence struct {
	Entry   *Entry                       // the digest entry
	Sidecar map[tier.Tier]*digest.Entry  // what each tier's sidecar says was agreed on
	Foreign map[tier.Tier]error          // why the object at a sidecar's key is none of the recording
	Object  map[tier.Tier]*objstore.Info // under the agreed key, else under the one that was asked for

	// Regions says that there are two: one webhook may have come to both, and each has dated its sidecar.
	Regions bool

	first tier.Tier // whose sidecar is believed first; primary's unless it is set
}

// Entry is the digest entry as it stands.
type Entry struct {
	digest.Entry
	Revision uint64
	Made     time.Time // by the server's clock
}

// Agreed is what both tiers must store: the digest entry, else a sidecar. nil: nobody knows.
func (e *Evidence) Agreed() *digest.Entry {
	first := cmp.Or(e.first, tier.Primary)
	switch {
	case e.Entry != nil:
		return &e.Entry.Entry
	case e.Sidecar[first] != nil:
		return e.Sidecar[first]
	}
	return e.Sidecar[first.Sibling()]
}

// Known are all that tell what was agreed on.
func (e *Evidence) Known() []digest.Entry {
	var out []digest.Entry
	if e.Entry != nil {
		out = append(out, e.Entry.Entry)
	}
	for _, t := range tier.All() {
		if s := e.Sidecar[t]; s != nil {
			out = append(out, *s)
		}
	}
	return out
}

// Forgotten says that the recording was erased on purpose.
func (e *Evidence) Forgotten() bool { return e.Entry != nil && e.Entry.Forgotten }

// Clear says that all that tell what was agreed on tell the same. If not it is evidence of harm.
func (e *Evidence) Clear() bool {
	all := e.Known()
	if len(e.Foreign) > 0 {
		return false
	}
	for _, one := range all {
		if one.Forgotten || one.Digest != all[0].Digest || one.ObjectKey != all[0].ObjectKey || !e.SameSidecar(one.Sidecar, all[0].Sidecar) {
			return false
		}
	}
	return true
}

// SameSidecar says that two sidecars tell the same: byte for byte, or, where there are two regions, but for when it was accepted.
func (e *Evidence) SameSidecar(a, b []byte) bool {
	return bytes.Equal(a, b) || e.Regions && event.SameButReceived(a, b)
}

// Contradicted says that the event contradicts the digest entry or a sidecar.
func (e *Evidence) Contradicted(ev event.Event) bool {
	for _, one := range e.Known() {
		if ev.Contradiction(one) != "" {
			return true
		}
	}
	return false
}

// Verified says that the tier holds the agreed bytes, as its store itself says of size and checksum.
func (e *Evidence) Verified(t tier.Tier) bool {
	agreed, object := e.Agreed(), e.Object[t]
	return agreed != nil && !agreed.Forgotten && object != nil && object.Same(agreed.Digest)
}

// Stored says that the tier has its copy: the agreed bytes, and the sidecar that explains them.
func (e *Evidence) Stored(t tier.Tier) bool { return e.Verified(t) && e.Sidecar[t] != nil }

// Nowhere says that neither store has anything of the recording.
func (e *Evidence) Nowhere() bool {
	for _, t := range tier.All() {
		if e.Sidecar[t] != nil || e.Foreign[t] != nil || e.Object[t] != nil {
			return false
		}
	}
	return true
}
