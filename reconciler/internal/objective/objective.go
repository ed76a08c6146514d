// Package objective measures what Twinreel promises: that a recording has two verified copies within fifteen minutes of the
// webhook's 200. It follows RECORDINGS (what was acknowledged, and when) and AUDIT (which copy was verified, and when), and
// counts by the UTC hour and day of the acknowledgement.
//
// Everything is computed from the streams, and after a restart anew: as far back as AUDIT reaches, at most 31 days.
package objective

import (
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// Limit is how long a recording may take to its second verified copy.
const Limit = 15 * time.Minute

// Goal is the share of recordings that must keep to Limit.
const Goal = 0.9999

// What is kept. Memory grows with the recordings of Limit's length, and not with their number over the days.
const (
	keepHours = 48 * time.Hour
	keepDays  = 31 * 24 * time.Hour
	maxOpen   = 1 << 20 // recordings that wait for their judgement
	maxMissed = 10_000  // of which is told which they are
)

// Span is one UTC hour or day.
type Span struct {
	From       time.Time `json:"from"`
	Recordings int       `json:"recordings"` // acknowledged then, and judged
	Missed     int       `json:"missed"`
	Share      float64   `json:"share"` // of those that have not missed it; 1 where there were none
}

// Miss is a recording that had not two verified copies in time.
type Miss struct {
	IdempotencyKey string     `json:"idempotencyKey"`
	AcknowledgedAt time.Time  `json:"acknowledgedAt"`
	PrimaryAt      *time.Time `json:"primaryAt"` // when its copy was verified; nil: not, so far
	BackupAt       *time.Time `json:"backupAt"`
	Reason         string     `json:"reason"`
}

// Report is what is known now.
type Report struct {
	Goal           float64   `json:"goal"`
	LimitSeconds   float64   `json:"limitSeconds"`
	Since          time.Time `json:"since"`          // from when on it is computed
	Whole          bool      `json:"whole"`          // all since then is read
	Waiting        int       `json:"waiting"`        // acknowledged less than Limit ago: not judged yet
	NotJudged      int       `json:"notJudged"`      // too many at once to be followed
	Days           []Span    `json:"days"`           // newest first
	Hours          []Span    `json:"hours"`          // newest first
	Missed         []Miss    `json:"missed"`         // newest first
	MissedUnlisted int       `json:"missedUnlisted"` // beyond those that are listed
	Streams        []Fill    `json:"streams"`
}

// copies are what is known of a recording's two copies.
type copies struct {
	verified   [2]time.Time // by tier; zero: not verified
	unverified [2]bool      // a copy is there, but its store has no checksum for it
}

func index(t tier.Tier) int {
	if t == tier.Primary {
		return 0
	}
	return 1
}

// inTime reports whether both copies were verified in time.
func (c *copies) inTime(acked time.Time) bool {
	for _, at := range c.verified {
		if at.IsZero() || at.Sub(acked) > Limit {
			return false
		}
	}
	return true
}

// reason says why they were not.
func (c *copies) reason(acked time.Time) string {
	text := ""
	for _, t := range tier.All() {
		at := c.verified[index(t)]
		var one string
		switch {
		case at.IsZero() && c.unverified[index(t)]:
			one = t.String() + ": a copy, but its store has no checksum for it"
		case at.IsZero():
			one = t.String() + ": no copy"
		case at.Sub(acked) > Limit:
			one = t.String() + ": after " + at.Sub(acked).Round(time.Second).String()
		default:
			continue
		}
		if text != "" {
			text += "; "
		}
		text += one
	}
	return text
}

// miss is the line of a recording that missed it.
func (c *copies) miss(key string, acked time.Time) Miss {
	m := Miss{IdempotencyKey: key, AcknowledgedAt: acked.UTC(), Reason: c.reason(acked)}
	if at := c.verified[0]; !at.IsZero() {
		at = at.UTC()
		m.PrimaryAt = &at
	}
	if at := c.verified[1]; !at.IsZero() {
		at = at.UTC()
		m.BackupAt = &at
	}
	return m
}
