package outside

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// Truth is what the platform knows of a recording, and so what the stores must hold.
type Truth struct {
	// Key is the idempotency key; ID and Source are what it is made of.
	Key, ID, Source string
	// Must says that the recording has to be there; May that it can be. Neither: it must not.
	Must, May bool
	Size      int64
	// SHA256 tells whether media with this hash are what the platform served.
	SHA256 func(sum string) bool
	// CRC64 is the CRC-64/NVME of the media as first offered, for where SHA256 is that of these.
	CRC64, FirstSHA256 func() string
	// Said are the events that were accepted, or may have been: the sidecar has to follow from one of them.
	Said []platform.Event
	// Accepted is when the first of them was answered; zero where no answer came.
	Accepted time.Time
}

// FromPlatform takes the truth from the simulated platform. Ask once nothing moves any more: it changes with every
// answer to a webhook.
func FromPlatform(p *platform.Platform) []Truth {
	var all []Truth
	for _, r := range p.Truth() {
		expect, said := r.Expect(), r.Acknowledged()
		if len(said) == 0 {
			// It may have been taken by a webhook whose answer was lost.
			said = []platform.Event{p.Webhook(r).Event}
		}
		all = append(all, Truth{
			Key: r.Key(), ID: r.ID, Source: r.Source, Size: r.Size, SHA256: r.Served, CRC64: r.CRC64NVME, FirstSHA256: r.SHA256,
			Must: expect == platform.ExpectStored, May: expect == platform.ExpectStored || expect == platform.ExpectEither,
			Said: said, Accepted: r.AcknowledgedAt(),
		})
	}
	return all
}

// mediaKeys are the keys that the media may have: one for each format that an accepted event named.
func (t Truth) mediaKeys() []string {
	var keys []string
	for _, e := range t.Said {
		if key := "recordings/" + t.Key + "." + e.MediaFormat; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// sidecarKey is the key of the metadata.
func (t Truth) sidecarKey() string { return "metadata/" + t.Key + ".json" }

// contentTypes are those of the formats.
func contentTypes() map[string]string {
	return map[string]string{
		"mp4": "audio/mp4", "m4a": "audio/mp4", "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "opus": "audio/ogg",
		"webm": "audio/webm", "flac": "audio/flac", "mkv": "video/x-matroska",
	}
}

// maxEventTags is how many of an event's own tags an object gets: the clouds allow ten, and two are ours.
const maxEventTags = 8

// wantTags are the object tags that follow from an event.
func (t Truth) wantTags(e platform.Event) map[string]string {
	want := map[string]string{"recording-id": t.ID, "source": t.Source}
	left := maxEventTags
	for _, name := range slices.Sorted(maps.Keys(e.Tags)) {
		key := tagText(name, 128)
		_, taken := want[key]
		if taken || key == "" || strings.HasPrefix(strings.ToLower(key), "aws:") || left == 0 {
			continue
		}
		want[key] = tagText(e.Tags[name], 256)
		left--
	}
	return want
}

// tagText is a text as both clouds take it in a tag: other characters become "_", and what is too long is cut.
func tagText(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		ok := r < 128 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune(" +-.:=_/", r))
		if !ok {
			r = '_'
		}
		if b.Len() == limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mapDiff says how two maps differ, or "".
func mapDiff(got, want map[string]string) string {
	var diff []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[k]; !ok || v != want[k] {
			diff = append(diff, fmt.Sprintf("%q is %q, want %q", k, v, want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			diff = append(diff, fmt.Sprintf("%q is not wanted", k))
		}
	}
	return strings.Join(diff, "; ")
}
