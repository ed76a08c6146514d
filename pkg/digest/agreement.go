package digest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// What an Agreement answers: Get when nothing is agreed yet, Replace when the entry is not the one judged.
var (
	ErrNoEntry = errors.New("no digest entry")
	ErrChanged = errors.New("the digest entry has changed")
	// ErrTooLarge is returned for an entry that the server does not take, now or ever.
	ErrTooLarge = errors.New("the digest entry is too large for the server's max_payload")
)

// Entry is what both tiers agreed to store for a recording.
type Entry struct {
	Digest
	ObjectKey string
	Sidecar   []byte // the sidecar's very bytes, made once, by the entry's creator
	Forgotten bool   // erased on purpose: nothing is stored, for ever
}

// Held is an entry as the bucket holds it.
type Held struct {
	Entry
	Revision uint64
	Created  bool // by the very call that returned it
}

// Agreement is where the two tiers agree. It is safe for concurrent use. key is the hash of the idempotency key. Any
// error but the sentinels means that there was no answer: then there must be no commit, and the attempt is repeated
// uncounted.
type Agreement interface {
	// Agree creates the entry from offer unless there is one, and returns the one that holds. ErrTooLarge.
	Agree(ctx context.Context, key string, offer Entry) (Held, error)
	// Get returns the entry that holds. ErrNoEntry.
	Get(ctx context.Context, key string) (Held, error)
	// Confirm returns held as it is if its entry still stands at its revision, else what Get returns.
	Confirm(ctx context.Context, key string, held Held) (Held, error)
	// Replace sets the entry to e if it still is of that revision. ErrChanged.
	Replace(ctx context.Context, key string, revision uint64, e Entry) (Held, error)
}

// wire is an entry's JSON. The sidecar is a JSON string, so that its bytes come back exactly.
type wire struct {
	SHA256    string `json:"sha256"`
	CRC64NVME string `json:"crc64nvme"`
	Size      int64  `json:"size"`
	ObjectKey string `json:"objectKey"`
	Sidecar   string `json:"sidecar"`
}

// Encode returns the entry's JSON.
func (e Entry) Encode() ([]byte, error) {
	if e.Forgotten {
		return []byte(`{"forgotten":true}`), nil
	}
	return json.Marshal(wire{e.SHA256, EncodeCRC64(e.CRC64), e.Size, e.ObjectKey, string(e.Sidecar)})
}

// ParseEntry reads an entry's JSON.
func ParseEntry(b []byte) (Entry, error) {
	var w struct {
		wire
		Forgotten bool `json:"forgotten"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return Entry{}, fmt.Errorf("parse digest entry: %w", err)
	}
	if w.Forgotten {
		return Entry{Forgotten: true}, nil
	}
	crc, err := DecodeCRC64(w.CRC64NVME)
	if err != nil {
		return Entry{}, fmt.Errorf("parse digest entry: %w", err)
	}
	if w.SHA256 == "" || w.ObjectKey == "" {
		return Entry{}, errors.New("parse digest entry: sha256 or objectKey is missing")
	}
	return Entry{Digest: Digest{SHA256: w.SHA256, CRC64: crc, Size: w.Size}, ObjectKey: w.ObjectKey, Sidecar: []byte(w.Sidecar)}, nil
}
