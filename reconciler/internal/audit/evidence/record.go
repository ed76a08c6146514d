package evidence

import (
	"context"
	"errors"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
)

// Record is the recording as the sealed log tells it.
type Record struct {
	RecordingID    string    `json:"recordingId"`
	Source         string    `json:"source"`
	IdempotencyKey string    `json:"idempotencyKey"`
	PrimaryStorage *Copy     `json:"primaryStorage"`
	BackupStorage  *Copy     `json:"backupStorage"`
	SHA256         string    `json:"sha256,omitempty"`
	CRC64NVME      string    `json:"crc64nvme,omitempty"`
	Size           *int64    `json:"size,omitempty"`
	Timeline       []Moment  `json:"timeline"`
	Made           time.Time `json:"made"` // when this was put together
}

// Copy is a copy as it was sealed first.
type Copy struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	ETag      string    `json:"etag,omitempty"`
	VersionID string    `json:"versionId,omitempty"`
	Timestamp time.Time `json:"timestamp"`
}

// Moment is one leaf.
type Moment struct {
	At     time.Time `json:"at"`
	Tier   string    `json:"tier"`
	Kind   string    `json:"kind"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	Epoch  string    `json:"epoch"`
	Leaf   int64     `json:"leaf"`
}

// RecordOf tells of a recording what its leaves say, the first word for each copy.
func RecordOf(key string, leaves []audit.Leaf, now time.Time) Record {
	source, id, err := event.SplitKey(key)
	if err != nil {
		id = key
	}
	r := Record{RecordingID: id, Source: source, IdempotencyKey: key, Timeline: []Moment{}, Made: now.UTC()}
	for _, l := range leaves {
		d := l.Data()
		r.Timeline = append(r.Timeline, Moment{l.Stored, l.Tier(), string(l.Kind()), d.Reason, d.By, string(l.Epoch), l.Index})
		switch l.Kind() {
		case event.AuditStored, event.AuditAlreadyPresent, event.AuditAcceptedUnverified, event.AuditConfirmed:
			r.copied(l, d)
		}
	}
	return r
}

// copied notes a copy.
func (r *Record) copied(l audit.Leaf, d event.AuditData) {
	side := &r.PrimaryStorage
	if l.Tier() == tier.Backup.String() {
		side = &r.BackupStorage
	}
	if *side == nil {
		*side = &Copy{d.Bucket, d.ObjectKey, d.ETag, d.VersionID, l.Stored}
	}
	if r.SHA256 == "" {
		r.SHA256 = d.SHA256
	}
	if r.CRC64NVME == "" {
		r.CRC64NVME = d.CRC64NVME
	}
	if r.Size == nil {
		r.Size = d.Size
	}
}

// Key returns the key of the media as it was sealed, "" if it never was.
func (r Record) Key() string {
	for _, c := range []*Copy{r.PrimaryStorage, r.BackupStorage} {
		if c != nil {
			return c.Key
		}
	}
	return ""
}

// Answer is what a store says of an object now.
type Answer struct {
	Tier      string     `json:"tier"`
	Bucket    string     `json:"bucket"`
	Key       string     `json:"key"`
	Asked     time.Time  `json:"asked"`
	Exists    *bool      `json:"exists"` // null where the store gave no answer
	Size      int64      `json:"size,omitempty"`
	ETag      string     `json:"etag,omitempty"`
	VersionID string     `json:"versionId,omitempty"`
	CRC64NVME string     `json:"crc64nvme,omitempty"`
	Modified  *time.Time `json:"modified,omitempty"`
	Error     string     `json:"error,omitempty"`
}

// Ask asks the stores for the objects.
func Ask(ctx context.Context, stores map[tier.Tier]objstore.Reader, keys []string, now func() time.Time) []Answer {
	out := []Answer{}
	for _, t := range tier.All() {
		if stores[t] == nil {
			continue
		}
		for _, key := range keys {
			out = append(out, ask(ctx, t, stores[t], key, now().UTC()))
		}
	}
	return out
}

func ask(ctx context.Context, t tier.Tier, r objstore.Reader, key string, now time.Time) Answer {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a := Answer{Tier: t.String(), Bucket: r.Bucket(), Key: key, Asked: now}
	info, err := r.Stat(ctx, key)
	there := err == nil
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		a.Exists = &there
		return a
	case err != nil:
		a.Error = fault.Text(err)
		return a
	}
	a.Exists, a.Size, a.ETag, a.VersionID = &there, info.Size, info.ETag, info.VersionID
	if info.HasCRC64 {
		a.CRC64NVME = digest.EncodeCRC64(info.CRC64)
	}
	if !info.Modified.IsZero() {
		m := info.Modified.UTC()
		a.Modified = &m
	}
	return a
}
