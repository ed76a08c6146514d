package platform

import (
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, seed := range []string{"5", "-1", "99999999999999999999", "Mon, 23 Nov 2026 10:00:05 GMT", "Mon, 23 Nov 2020 10:00:05 GMT", "soon", "", "1e9", " 5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := RetryAfter(header, now); d < 0 {
			t.Fatalf("%q: %s", header, d)
		}
	})
}
