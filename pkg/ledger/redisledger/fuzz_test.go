package redisledger

import (
	"testing"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Redis may hold anything under our keys: it is a record or an error, never a panic, and its status fits its sides.
func FuzzAssemble(f *testing.F) {
	f.Add("rec-1", `{"bucket":"b","key":"k","etag":"e","versionId":"","timestamp":"2026-11-23T10:00:00Z"}`, "", "2026-11-23T10:00:00Z", "3", "source_gone")
	f.Add("zoom/rec-1", `{}`, `null`, "", "-1", "")
	f.Add("", `[]`, `{"timestamp":"x"}`, "x", "99999999999999999999", "")
	f.Fuzz(func(t *testing.T, id, primary, backup, received, number, letter string) {
		r, err := assemble(id, map[string]string{
			"primary": primary, "backup": backup, "receivedAt": received, "retries.primary": number, "size": number, "letter.backup": letter,
		})
		if err != nil {
			return
		}
		copies := 0
		for _, side := range tier.All() {
			if r.Side(side) != nil {
				copies++
			}
		}
		if want := map[int]ledger.Status{1: ledger.Partial, 2: ledger.Completed}[copies]; want != "" && r.Status != want {
			t.Fatalf("%d copies are %s", copies, r.Status)
		}
	})
}
