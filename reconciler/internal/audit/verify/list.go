package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
)

// listing is what a store has below audit/.
type listing struct {
	of map[epoch.ID]map[string]int64 // sizes by key
}

func (l listing) epochs() []epoch.ID { return slices.Sorted(maps.Keys(l.of)) }

// list lists the store. A key that belongs to no epoch, or was written more than once, is a finding.
func (v *Verifier) list(ctx context.Context, r *Report) (listing, error) {
	out := listing{map[epoch.ID]map[string]int64{}}
	var before objstore.Info
	for info, err := range v.Reader.List(ctx, epoch.Root) {
		if err != nil {
			return listing{}, fmt.Errorf("list the log in %s: %w", v.Name, err)
		}
		if info.Key == before.Key {
			if info.VersionID != before.VersionID { // one server names a version twice where a page ends
				r.add(Finding{Problem: Versions, Object: info.Key, Detail: fmt.Sprintf("it has versions %s and %s; the log is written once", before.VersionID, info.VersionID)})
			}
			continue
		}
		before = info
		r.Objects++
		e, _, found := epoch.Split(info.Key)
		if strings.HasPrefix(info.Key, epoch.Markers()) {
			var err error
			e, err = epoch.OfMarker(info.Key)
			found = err == nil
		}
		if !found {
			r.add(Finding{Problem: Unexpected, Object: info.Key, Detail: "it belongs to no epoch"})
			continue
		}
		if out.of[e] == nil {
			out.of[e] = map[string]int64{}
		}
		out.of[e][info.Key] = info.Size
	}
	return out, nil
}
