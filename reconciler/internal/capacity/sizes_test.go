package capacity

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

const (
	month = 30 * day
	week  = 7 * day
)

func TestForDayIsTheSumOfWhatIsKept(t *testing.T) {
	for _, c := range []struct {
		name                       string
		perDay                     int64
		maxAge, ttl                time.Duration
		recordings, letters, audit int64 // bytes, before rounding up to whole MiB
	}{
		// 100000 × 2304 B × 30 d × 1.25; 1000 × 2816 B × 90 d × 1.25; 320000 × 956 B × 14 d × 2.2
		{"a hundred thousand", 100_000, month, week, 8_640_000_000, 316_800_000, 9422336000},
		{"half the age, half the bytes", 100_000, month / 2, week, 4_320_000_000, 316_800_000, 9422336000},
		{"a day of ledger: eight days of audit", 100_000, month, day, 8_640_000_000, 316_800_000, 5384192000},
		{"one: the smallest streams", 1, month, week, smallest, smallest, smallest},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ForDay(c.perDay, c.maxAge, c.ttl)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []struct {
				name string
				got  settings.Bytes
				want int64
			}{{"RECORDINGS", got.Recordings, c.recordings}, {"RECORDINGS_DLQ", got.Letters, c.letters}, {"AUDIT", got.Audit, c.audit}} {
				if want := int64(math.Ceil(float64(s.want)/wholeMebibyte)) * wholeMebibyte; int64(s.got) != want {
					t.Errorf("%s: got %d, want %d", s.name, s.got, want)
				}
			}
			if got.MaxAge != c.maxAge {
				t.Errorf("age: got %v, want %v", got.MaxAge, c.maxAge)
			}
		})
	}
}

func TestForDayRefusesWhatCannotBePlanned(t *testing.T) {
	for _, n := range []int64{0, -1, MostPerDay + 1, math.MaxInt64} {
		if _, err := ForDay(n, month, week); !errors.Is(err, ErrPerDay) {
			t.Errorf("%d: got %v", n, err)
		}
	}
}

func TestForDayFitsIntoAStreamsLimitWhateverIsAsked(t *testing.T) {
	got, err := ForDay(MostPerDay, math.MaxInt64, math.MaxInt64-withoutSealing)
	if err != nil || got.Recordings <= 0 || got.Letters <= 0 || got.Audit <= 0 {
		t.Errorf("a billion a day for 292 years: got %+v, %v", got, err)
	}
}

// The assumed sizes must not be smaller than what a usual recording makes.
func TestAssumedSizesHoldAUsualEvent(t *testing.T) {
	const signature = 900 // bytes of a signed URL's query
	e := event.New(event.Data{
		RecordingID: "rec-8a7f0e2c-5d1b-4f7e-9c55-2f6f2a1f7f10", Source: "emea", DurationSeconds: 183.4,
		Media: event.Media{URL: "https://cdn.example.com/rec?" + strings.Repeat("x", signature), Format: "mp4"},
		Participants: []event.Participant{
			{"id": "agent-4711", "role": "agent", "name": "Ada Lovelace"}, {"id": "customer-0815", "role": "customer", "name": "Charles Babbage"},
		},
		Tags: map[string]string{"queue": "billing", "team": "emea-2", "language": "en", "skill": "invoices", "case": "CS-123456"},
	}, "e", time.Now())
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > eventBytes {
		t.Errorf("an event has %d bytes, planned are %d", len(b), eventBytes)
	}
	size := int64(1 << 30)
	audit, err := event.Audit{Kind: event.AuditStored, Tier: "primary", MsgID: "stored/primary/RECORDINGS/123456789", Time: time.Now(), Data: event.AuditData{
		Tier: "primary", IdempotencyKey: e.Data.IdempotencyKey, ObjectKey: e.Data.ObjectKey, Bucket: "a-company-recordings-eu", ETag: `"0123456789abcdef0123456789abcdef-128"`,
		VersionID: "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", SHA256: event.HashKey("x"), CRC64NVME: "AAAAAAAAAAA=", Size: &size,
	}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(audit) > auditBytes {
		t.Errorf("an audit event has %d bytes, planned are %d", len(audit), auditBytes)
	}
}
