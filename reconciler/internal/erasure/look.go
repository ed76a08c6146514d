package erasure

import (
	"context"
	"slices"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// lookTimeout is how long a store may take to tell what it has of one recording.
const lookTimeout = 30 * time.Second

// Copy is one version of an object that is still in a store. Whoever may has to delete it there.
type Copy struct {
	Tier      tier.Tier `json:"tier"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	VersionID string    `json:"versionId"`
	Size      int64     `json:"size"`
	Modified  time.Time `json:"modified"`
}

// Unseen is a store that could not be looked into.
type Unseen struct {
	Tier tier.Tier `json:"tier"`
	Why  string    `json:"why"`
}

// look reports every version that the stores have of the recording, the older ones and those behind a deletion included.
func (e *Eraser) look(ctx context.Context, key, agreed string, out *Report) {
	for _, t := range tier.All() {
		store := e.Stores[t]
		if store == nil {
			out.Unseen = append(out.Unseen, Unseen{t, "not set up"})
			continue
		}
		found, err := Copies(ctx, t, store, key, agreed)
		if err != nil {
			out.Unseen = append(out.Unseen, Unseen{t, fault.Text(err)})
		}
		out.Copies = append(out.Copies, found...)
	}
}

// Copies lists every version that a store has of a recording: under each object key that it may have, and the one that
// was agreed on ("": none), and its sidecar.
func Copies(ctx context.Context, t tier.Tier, store objstore.Reader, key, agreed string) (out []Copy, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	keys := []string{event.SidecarKey(key)}
	for _, format := range event.Formats() {
		keys = append(keys, event.ObjectKey(key, format))
	}
	if agreed != "" && !slices.Contains(keys, agreed) {
		keys = append(keys, agreed)
	}
	for _, want := range keys {
		for info, err := range store.List(ctx, want) {
			if err != nil {
				return out, err
			}
			if info.Key != want {
				break // longer ones, of other recordings: the shortest comes first
			}
			out = append(out, Copy{t, store.Bucket(), info.Key, info.VersionID, info.Size, info.Modified.UTC()})
		}
	}
	return out, nil
}
