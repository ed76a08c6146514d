// Package ledgertest is the suite that every ledger passes: what claims, counts and the record promise, whatever they
// are kept in.
package ledgertest

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Driver is a ledger under test, with what only its test can do to it.
type Driver struct {
	Ledger ledger.Ledger
	// Pass lets d of a lease's life pass, at least.
	Pass func(t *testing.T, id string, tr tier.Tier, d time.Duration)
	// Forget empties the ledger, as a server does that lost its data.
	Forget func(t *testing.T)
}

// Run runs the suite; factory returns a fresh or shared ledger for each test, whose recordings are the test's own.
func Run(t *testing.T, factory func(t *testing.T) Driver) {
	tests := map[string]func(*testing.T, Driver){
		"only one of many at once gets a claim":                   exclusive,
		"a claim is held until it is released":                    released,
		"tiers and recordings do not share claims":                apart,
		"a lapsed lease is lost and can be claimed":               lapsed,
		"a renewed lease lives on":                                renewed,
		"an old holder cannot touch its successor's claim":        takeover,
		"an orphan goes to the next holder":                       orphan,
		"an orphan is handed on until somebody sees to it":        orphanAgain,
		"an orphan of a finished recording is handed on once":     orphanDone,
		"a closed upload is no orphan":                            noOrphan,
		"a finished claim is done for everybody":                  done,
		"finished without a lease leaves a live lease alone":      finishedHeld,
		"finished without a lease marks a free claim done":        finishedFree,
		"failures are counted per message and kind":               failures,
		"attempts of an unknown message are none":                 noAttempts,
		"the first and the previous failure have their times":     times,
		"a record that nothing is known of is none":               noRecord,
		"a record comes together in every order":                  everyOrder,
		"the status follows copies and letters":                   statuses,
		"the record is another's own copy":                        ownCopy,
		"a second proof of a copy keeps what the first one knew":  provenAgain,
		"a ledger that forgets in the middle frees every claim":   forgets,
		"a context that ended is an unanswered call, not a crash": ended,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, factory(t)) })
	}
}

// recording returns an ID that no other test uses, of a source with a name.
func recording() string { return "west/rec-" + rand.Text() }

// began is a time with all the digits that a record keeps.
func began() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC) }

func copyOf(id string, t tier.Tier) ledger.Copy {
	return ledger.Copy{
		RecordingID: id[len("west/"):], ReceivedAt: began(), SHA256: "ab12", Size: 5 << 32,
		Stored: ledger.Stored{Bucket: "b-" + t.String(), Key: "recordings/" + id + ".wav", ETag: `"e"`, VersionID: "v", Timestamp: began().Add(time.Minute)},
	}
}

func claim(t *testing.T, d Driver, id string, tr tier.Tier) ledger.Claim {
	t.Helper()
	c, err := d.Ledger.Claim(t.Context(), id, tr)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	if (c.State == ledger.Claimed) != (c.Lease != nil) {
		t.Fatalf("state %v comes with lease %v", c.State, c.Lease)
	}
	return c
}

// mustClaim claims what has to be free.
func mustClaim(t *testing.T, d Driver, id string, tr tier.Tier) ledger.Claim {
	t.Helper()
	c := claim(t, d, id, tr)
	if c.State != ledger.Claimed {
		t.Fatalf("state %v, want a claim", c.State)
	}
	return c
}

func wantState(t *testing.T, d Driver, id string, tr tier.Tier, want ledger.State) {
	t.Helper()
	if c := claim(t, d, id, tr); c.State != want {
		t.Fatalf("state %v, want %v", c.State, want)
	}
}

func wantLost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ledger.ErrLost) || fault.PartOf(err) != fault.Ledger {
		t.Errorf("%s: %v, want ErrLost of part ledger", what, err)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func record(t *testing.T, d Driver, id string) ledger.Record {
	t.Helper()
	r, err := d.Ledger.Record(t.Context(), id)
	must(t, "record", err)
	return r
}
