package redisledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given recordings of usual names that both tiers hold, when the server is asked what their keys take, then it is what is
// planned with: no more, and not so little that the plan is of another program.
func TestARecordingTakesOfTheMemoryWhatIsPlanned(t *testing.T) {
	const recordings = 300
	w := open(t)
	for i := range recordings {
		id := fmt.Sprintf("rec-8a7f0e2c-5d1b-4f7e-9c55-2f6f%08d", i)
		for _, tr := range tier.All() {
			c, err := w.Claim(t.Context(), id, tr)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Lease.Finish(t.Context(), ledger.Copy{
				RecordingID: id, ReceivedAt: time.Now(), SHA256: strings.Repeat("0f", 32), Size: 1_440_000,
				Stored: ledger.Stored{
					Bucket: "a-company-recordings-eu", Key: "recordings/" + id + ".mp4", ETag: `"0123456789abcdef0123456789abcdef-128"`,
					VersionID: "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", Timestamp: time.Now(),
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	keys := w.keys(t.Context(), t)
	if len(keys) != 3*recordings {
		t.Fatalf("%d keys of %d recordings; planned are two claims and a record of each", len(keys), recordings)
	}
	var all int64
	for _, key := range keys {
		n, err := w.raw.MemoryUsage(t.Context(), key).Result()
		if err != nil {
			t.Fatalf("the server does not say what a key takes: %v", err)
		}
		all += n
	}
	// The server's two tables (of keys, of times to live) take so much besides for each key: MEMORY STATS, with 30,000 of them.
	const tables = 50
	each := float64(all)/recordings + 3*tables
	t.Logf("%.0f bytes each", each)
	if each > redisledger.RecordingBytes || each < 0.6*redisledger.RecordingBytes {
		t.Errorf("a recording takes %.0f bytes, planned are %d", each, redisledger.RecordingBytes)
	}
}
