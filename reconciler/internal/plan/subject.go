package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// Folders of a store that hold no recordings.
const (
	auditFolder   = "audit/"
	mediaFolder   = "recordings/"
	sidecarFolder = "metadata/"
)

// Subject is a recording, or an object that belongs to none, at which a closer look is due, and why.
type Subject struct {
	Key     string           // the idempotency key; "" for an object that belongs to no recording
	Entry   *inventory.Entry // what the ledger says; nil: it does not know the recording
	Objects []string         // object keys that the ledger expects: more than one where events contradict each other
	Others  []Place          // what a store lists and the ledger does not expect
	Several []Several        // keys with more than one version
	Listed  bool             // from whole listings
	Seen    [2]bool          // in which tiers, primary and backup, they have anything of it
}

// Place is a key in a store.
type Place struct {
	Tier tier.Tier `json:"tier"`
	Key  string    `json:"key"`
}

// Several is a key with more than one version, or with none that is visible.
type Several struct {
	Place
	Versions int  `json:"versions"`
	Alike    bool `json:"alike"` // all of the same size and ETag
	Visible  bool `json:"visible"`
}

// ObjectKey is where the recording's media are looked for where nothing is agreed on.
func (s Subject) ObjectKey() string {
	switch {
	case len(s.Objects) > 0:
		return s.Objects[0]
	case s.Entry != nil:
		return s.Entry.ObjectKey
	}
	for _, o := range s.Others {
		if strings.HasPrefix(o.Key, mediaFolder) {
			return o.Key
		}
	}
	return ""
}

// gone says that the listings have nothing of the recording in primary, nor in backup.
func (s Subject) gone() (primary, both bool) {
	if !s.Listed || len(s.Several) > 0 {
		return false, false
	}
	return !s.Seen[0], !s.Seen[0] && !s.Seen[1]
}

// Owner returns the idempotency key of the recording that an object's key can belong to, "" if none.
func Owner(key string) string {
	name, media := strings.CutPrefix(key, mediaFolder)
	if !media {
		var sidecar bool
		if name, sidecar = strings.CutPrefix(key, sidecarFolder); !sidecar {
			return ""
		}
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || !media && name[dot:] != ".json" || media && event.CheckFormat(name[dot+1:]) != nil {
		return ""
	}
	source, id, err := event.SplitKey(name[:dot])
	if err != nil || event.IdempotencyKey(source, id) != name[:dot] {
		return ""
	}
	return name[:dot]
}

// trace is what one row of the inventories says of a subject.
type trace struct {
	Key     string
	Entry   *inventory.Entry
	Others  []Place
	Several []Several
	Listed  bool
	Seen    [2]bool
}

// stranger begins the spool key of an object that belongs to no recording. No idempotency key begins with it.
const stranger = "\xff"

// subjects collects traces, however many, and yields them as subjects by their key.
type subjects struct{ traces *spool.Sorter }

func (s subjects) add(t trace) error {
	key := Owner(t.Key)
	if t.Entry != nil {
		key = t.Entry.IdempotencyKey
	}
	if key == "" {
		key = stranger + t.Key
	}
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("note what differs: %w", err)
	}
	return s.traces.Add(key, b)
}

// all calls visit for each subject, and stops at its first error.
func (s subjects) all(visit func(Subject) error) error {
	var now Subject
	last, some := "", false
	for r, err := range s.traces.All() {
		if err != nil {
			return err
		}
		if some && r.Key != last {
			if err := visit(now); err != nil {
				return err
			}
			now = Subject{}
		}
		last, some = r.Key, true
		if !strings.HasPrefix(r.Key, stranger) {
			now.Key = r.Key
		}
		var t trace
		if json.Unmarshal(r.Value, &t) != nil {
			return errors.New("what was noted of a recording cannot be read back")
		}
		now.take(t)
	}
	if some {
		return visit(now)
	}
	return nil
}

// take adds what a row says.
func (s *Subject) take(t trace) {
	if t.Entry != nil {
		if s.Entry == nil {
			s.Entry = t.Entry
		} else {
			s.Entry.Add(*t.Entry)
		}
		if t.Entry.ObjectKey != "" && !slices.Contains(s.Objects, t.Entry.ObjectKey) {
			s.Objects = append(s.Objects, t.Entry.ObjectKey)
		}
	}
	s.Others = append(s.Others, t.Others...)
	s.Several = append(s.Several, t.Several...)
	s.Listed = s.Listed || t.Listed
	for i := range s.Seen {
		s.Seen[i] = s.Seen[i] || t.Seen[i]
	}
}
