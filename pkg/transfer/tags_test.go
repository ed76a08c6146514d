package transfer_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// given two events of one recording with different tags, of which the sibling agrees on the second after the first one's
// upload has begun, when the commit's answer is lost, or the tags cannot be set, or the process ends in between, then both
// tiers have the agreed tags in the end.
func TestBothTiersHaveTheAgreedTagsWhateverBreaks(t *testing.T) {
	lost := fault.New(fault.Unavailable, fault.Store, "commit", fmt.Errorf("%w: %w", objstore.ErrUnknown, errBroken))
	for name, breaks := range map[string]func(*memstore.Store){
		"nothing":       func(*memstore.Store) {},
		"a lost answer": func(s *memstore.Store) { s.After(memstore.Commit, memstore.Nth(1, lost)) },
		"tags refused":  func(s *memstore.Store) { s.Before(memstore.Tag, memstore.Nth(1, lost)) },
		"tags' answer":  func(s *memstore.Store) { s.After(memstore.Tag, memstore.Nth(1, lost)) },
		"lost, and again": func(s *memstore.Store) {
			s.After(memstore.Commit, memstore.Nth(1, lost))
			s.Before(memstore.Tag, memstore.Nth(1, lost))
		},
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streamed %v", name, streamed), func(t *testing.T) {
				w := newWorld(t)
				if streamed {
					w.copiers[tier.Primary].StreamMax = 1 << 30
				}
				body := varied(3 * part)
				first := w.job("rec-1", body)
				second := w.job("rec-1", body, func(d *event.Data) { d.Tags = map[string]string{"queue": "sales"} })
				s := w.stores[tier.Primary]
				begun := memstore.Create
				if streamed {
					begun = memstore.Stream
				}
				s.After(begun, func(context.Context, memstore.Call) error {
					w.must(tier.Backup, second, transfer.Stored)
					return nil
				})
				breaks(s)
				if _, err := w.copy(tier.Primary, first); err != nil {
					if _, err := w.copy(tier.Primary, again(first)); err != nil {
						t.Fatal(err)
					}
				}
				key := first.Event.Data.ObjectKey
				primary, _ := s.Object(key)
				backup, _ := w.stores[tier.Backup].Object(key)
				if !maps.Equal(primary.Tags, backup.Tags) || backup.Tags["queue"] != "sales" {
					t.Errorf("primary has %v, backup %v", primary.Tags, backup.Tags)
				}
			})
		}
	}
}
