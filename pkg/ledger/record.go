package ledger

import (
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// Status is a recording's state over both tiers.
type Status string

// The states. Quarantined and forgotten are said by the reconciler's own buckets, not by the ledger.
const (
	Pending     Status = "pending"     // no tier has it yet
	Partial     Status = "partial"     // one tier has it
	Completed   Status = "completed"   // both have it
	Failed      Status = "failed"      // a tier has an open letter and the other no copy
	Quarantined Status = "quarantined" // evidence of a difference is open
	Forgotten   Status = "forgotten"   // erased; never brought back
)

// Record is what is known of one recording, in the shape that every API shows.
type Record struct {
	RecordingID    string  `json:"recordingId"`
	Status         Status  `json:"status"`
	Primary        *Stored `json:"primaryStorage"`
	Backup         *Stored `json:"backupStorage"`
	IdempotencyKey string  `json:"idempotencyKey"`
	RetryCount     int     `json:"retryCount"`
	Retries        Retries `json:"retries"`
	SHA256         string  `json:"sha256"`
	Size           int64   `json:"size"`

	ReceivedAt time.Time            `json:"-"` // when the webhook was accepted; zero if unknown
	Letters    map[tier.Tier]string `json:"-"` // open dead letters by tier, with their reason
}

// Retries counts naks for failures over all events of the recording, per tier.
type Retries struct {
	Primary int `json:"primary"`
	Backup  int `json:"backup"`
}

// Side returns the copy in tier t, nil if there is none.
func (r *Record) Side(t tier.Tier) *Stored {
	if t == tier.Primary {
		return r.Primary
	}
	return r.Backup
}

// SetSide sets the copy in tier t.
func (r *Record) SetSide(t tier.Tier, s *Stored) {
	if t == tier.Primary {
		r.Primary = s
		return
	}
	r.Backup = s
}

// Settle computes Status and RetryCount from the rest.
func (r *Record) Settle() {
	r.RetryCount = r.Retries.Primary + r.Retries.Backup
	r.Status = Pending
	copies, failed := 0, false
	for _, t := range tier.All() {
		if r.Side(t) != nil {
			copies++
		}
		if r.Letters[t] != "" && r.Side(t.Sibling()) == nil && r.Side(t) == nil {
			failed = true
		}
	}
	switch {
	case copies == 2:
		r.Status = Completed
	case copies == 1:
		r.Status = Partial
	case failed:
		r.Status = Failed
	}
}
