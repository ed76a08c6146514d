package outside

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// verdict collects what is wrong with one copy.
type verdict struct {
	store string
	wrong []Finding
}

func (v *verdict) find(key, kind, format string, args ...any) {
	v.wrong = append(v.wrong, Finding{Store: v.store, Key: key, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// judge holds a copy against the truth and returns what is wrong with it.
func judge(store string, t Truth, found copyOf) []Finding {
	v, m := &verdict{store: store}, found.media
	if m.object.Size != t.Size {
		v.find(m.key, Different, "%d bytes, want %d", m.object.Size, t.Size)
	}
	if !t.SHA256(m.sha256) {
		v.find(m.key, Different, "SHA-256 %s was never served", m.sha256)
	}
	if m.sha256 == t.FirstSHA256() && m.crc64 != t.CRC64() {
		v.find(m.key, Different, "CRC-64/NVME %s, want %s", m.crc64, t.CRC64())
	}
	if m.object.CRC64 != m.crc64 {
		v.find(m.key, Different, "the store keeps the checksum %q; its bytes give %q", m.object.CRC64, m.crc64)
	}
	v.said(t, found)
	return v.wrong
}

// said holds sidecar, tags and content type against the accepted events: one of them must fit all.
func (v *verdict) said(t Truth, found copyOf) {
	side, err := parseSidecar(found.sidecar)
	if err != nil {
		v.find(t.sidecarKey(), Metadata, "%v", err)
		return
	}
	if late := side.ReceivedAt.Sub(t.Accepted); !t.Accepted.IsZero() && len(t.Said) == 1 && late > clockSkew {
		v.find(t.sidecarKey(), Metadata, "receivedAt is %s after the answer", late)
	}
	var diffs []string
	for _, e := range t.Said {
		diff := side.differs(t, e, found.media)
		if diff == "" {
			v.object(t, e, found.media)
			return
		}
		diffs = append(diffs, diff)
	}
	slices.Sort(diffs)
	v.find(t.sidecarKey(), Metadata, "%s", strings.Join(slices.Compact(diffs), " | or: "))
}

// object holds the object's own properties against the event that its sidecar follows.
func (v *verdict) object(t Truth, e platform.Event, m media) {
	if diff := mapDiff(m.object.Tags, t.wantTags(e)); diff != "" {
		v.find(m.key, Tags, "%s", diff)
	}
	if want := contentTypes()[e.MediaFormat]; m.object.ContentType != want {
		v.find(m.key, Metadata, "content type %q, want %q", m.object.ContentType, want)
	}
}
