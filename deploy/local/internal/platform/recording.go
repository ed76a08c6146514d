package platform

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Spec says what recording Add makes. Zero fields are filled in.
type Spec struct {
	ID           string            // "rec-" and 16 hexadecimal digits unless set
	Source       string            // "default" unless set
	Size         int64             // in bytes, exactly; at least 44 for WAV
	Format       string            // "wav" unless set; of other formats only the first bytes are true
	EventID      string            // "ev-<ID>" unless set
	Participants []Participant     // invented if nil
	Tags         map[string]string // invented if nil
	CompletedAt  time.Time         // now unless set; whole seconds, UTC
	LinkTTL      time.Duration     // of the link in the webhook, the platform's unless set; negative: expired from the start
	SendSize     bool              // the webhook names the size
	SendSHA256   bool              // the webhook names the SHA-256
	Transcoding  int               // how many requests for a fresh link are answered 202 first
	Faults       Faults
	Expect       Expect
}

// Recording is one recording and what is true of it. Its fields do not change.
type Recording struct {
	ID              string
	Source          string
	Format          string
	EventID         string
	Size            int64
	DurationSeconds float64 // what the WAV plays
	Participants    []Participant
	Tags            map[string]string
	CompletedAt     time.Time

	mediaURL             string
	expires              time.Time
	neverValid           bool // the link expired before it was made
	sendSize, sendSHA256 bool
	original, reencoded  audio
	sha, otherSHA, crc   func() string
	etags                [3]string // of the original, the re-encoded, and the one that is not its format

	gets, fetches, ranges, heads, denied int // guarded by mu
	asked, transcoding                   int // likewise
	bytes                                atomic.Int64

	mu           sync.Mutex
	faults       Faults
	expect       Expect
	acknowledged []Event
	taken        map[[sha256.Size]byte]bool // digests of the bodies behind them
	firstAck     time.Time
	unanswered   bool     // some webhook may have been taken without an answer that says so
	changed      bool     // the re-encoded media were served
	fresh        []string // links that the resolver gave
}

// Counts is what happened to a recording's media so far.
type Counts struct {
	Fetches int   // GETs of the whole, or of a range from byte 0
	Gets    int   // all GETs with a valid link, but those that follow this server's redirects
	Ranges  int   // those with a Range
	Heads   int   // HEADs with a valid link
	Denied  int   // requests whose link had expired, or was forged
	Asked   int   // requests for a fresh link, with the right token
	Bytes   int64 // of media, handed to connections
}

// Add makes a recording and serves it from now on; nothing is sent. It fails on an unknown source or format, on a size
// that is too small, and on an ID that the source already has.
func (p *Platform) Add(spec Spec) (*Recording, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := p.newRecording(spec)
	if err := p.check(rec); err != nil {
		return nil, fmt.Errorf("add recording %s: %w", rec.Key(), err)
	}
	rec.mediaURL = p.linkUntil(rec, rec.expires)
	rec.prepare(&p.tones, p.random.Uint64())
	p.order = append(p.order, rec)
	p.byKey[rec.Key()], p.byPath[rec.path()] = rec, rec
	return rec, nil
}

func (p *Platform) newRecording(spec Spec) *Recording {
	now := p.cfg.Now().UTC()
	rec := &Recording{
		ID: spec.ID, Source: spec.Source, Format: spec.Format, EventID: spec.EventID, Size: spec.Size,
		DurationSeconds: duration(spec.Size), Participants: slices.Clone(spec.Participants), Tags: maps.Clone(spec.Tags),
		CompletedAt: spec.CompletedAt.UTC().Truncate(time.Second), sendSize: spec.SendSize, sendSHA256: spec.SendSHA256,
		expires: now.Add(spec.LinkTTL), neverValid: spec.LinkTTL < 0, faults: spec.Faults, expect: spec.Expect,
		transcoding: spec.Transcoding,
	}
	if spec.ID == "" {
		rec.ID = fmt.Sprintf("rec-%016x", p.random.Uint64())
	}
	if spec.Source == "" {
		rec.Source = defaultSource
	}
	if spec.Format == "" {
		rec.Format = "wav"
	}
	if spec.EventID == "" {
		rec.EventID = "ev-" + rec.ID
	}
	if spec.Participants == nil {
		rec.Participants = castOf(p.random)
	}
	if spec.Tags == nil {
		rec.Tags = tagsOf(p.random)
	}
	if spec.CompletedAt.IsZero() {
		rec.CompletedAt = now.Truncate(time.Second)
	}
	if spec.LinkTTL == 0 {
		rec.expires = now.Add(p.cfg.LinkTTL)
	}
	return rec
}

func (p *Platform) check(rec *Recording) error {
	_, known := p.cfg.Sources[rec.Source]
	_, taken := p.byKey[rec.Key()]
	switch {
	case !known:
		return fmt.Errorf("source %q is not in Config.Sources", rec.Source)
	case magic(rec.Format) == nil:
		return fmt.Errorf("format %q is not known", rec.Format)
	case rec.Size < minSize(rec.Format):
		return fmt.Errorf("%d bytes are too few for %s; at least %d", rec.Size, rec.Format, minSize(rec.Format))
	case taken:
		return errors.New("the source has one of this ID")
	}
	return nil
}

// prepare sets up the media: the original, and what the platform makes of it when it encodes it again.
func (r *Recording) prepare(t *tones, seed uint64) {
	r.original = newAudio(t, r.Format, r.Size, seed)
	r.reencoded = newAudio(t, r.Format, r.Size, mix(seed))
	r.sha = sync.OnceValue(r.original.sha256Hex)
	r.otherSHA = sync.OnceValue(r.reencoded.sha256Hex)
	r.crc = sync.OnceValue(r.original.crc64NVME)
	for i := range r.etags {
		r.etags[i] = fmt.Sprintf(`"%016x-%x"`, mix(seed+uint64(i)), r.Size)
	}
}

// SHA256 returns the SHA-256 of the media as first offered, in lower-case hex. The first call reads the media once.
func (r *Recording) SHA256() string { return r.sha() }

// ReencodedSHA256 is SHA256 of what Faults.Reencoded serves.
func (r *Recording) ReencodedSHA256() string { return r.otherSHA() }

// Served reports whether the SHA-256, in lower-case hex, is that of media that were served in full or in part: of the
// original, or of the re-encoded once anyone was given that.
func (r *Recording) Served(sum string) bool {
	r.mu.Lock()
	changed := r.changed
	r.mu.Unlock()
	return sum == r.SHA256() || (changed && sum == r.ReencodedSHA256())
}

// CRC64NVME returns the CRC-64/NVME of the media as first offered: base64 of 8 bytes, big-endian. The first call reads
// the media once.
func (r *Recording) CRC64NVME() string { return r.crc() }

// Key returns the idempotency key: the ID, or "<source>/<ID>" for a source other than "default".
func (r *Recording) Key() string {
	if r.Source == defaultSource {
		return r.ID
	}
	return r.Source + "/" + r.ID
}

// ObjectKey returns the key that the media must have in both stores.
func (r *Recording) ObjectKey() string { return "recordings/" + r.Key() + "." + r.Format }

// SidecarKey returns the key that the metadata must have in both stores.
func (r *Recording) SidecarKey() string { return "metadata/" + r.Key() + ".json" }

// ContentType returns the media type of the recording's format.
func (r *Recording) ContentType() string { return contentType(r.Format) }

// contentType returns the media type of a format.
func contentType(format string) string {
	switch format {
	case "mp4", "m4a":
		return "audio/mp4"
	case "mp3":
		return "audio/mpeg"
	case "opus":
		return "audio/ogg"
	case "mkv":
		return "video/x-matroska"
	}
	return "audio/" + format
}

func (r *Recording) path() string { return "/media/" + r.Key() + "." + r.Format }

// MediaURL returns the link that the recording's webhooks carry. It is a secret: keep it out of logs.
func (r *Recording) MediaURL() string { return r.mediaURL }

// Faults returns how the media misbehave.
func (r *Recording) Faults() Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

// SetFaults lets the media misbehave otherwise from the next request on. GETs and fetches so far still count.
func (r *Recording) SetFaults(f Faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = f
}

// Counts returns what happened to the media so far.
func (r *Recording) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{
		Fetches: r.fetches, Gets: r.gets, Ranges: r.ranges, Heads: r.heads, Denied: r.denied, Asked: r.asked, Bytes: r.bytes.Load(),
	}
}

// SetExpect says what must become of the recording, where its faults do not say it rightly; for instance when they were
// changed after it was stored.
func (r *Recording) SetExpect(e Expect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expect = e
}

// Expect returns what must be in the stores: ExpectStored, ExpectAbsent or ExpectEither. Unless it was set, it follows
// from the webhooks' answers (none acknowledged: absent; none, but some without an answer: either) and the faults.
func (r *Recording) Expect() Expect {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.expect != ExpectByFaults:
		return r.expect
	case r.neverValid:
		return ExpectAbsent
	case len(r.acknowledged) == 0 && !r.unanswered:
		return ExpectAbsent
	}
	e := r.faults.expect(r.Size, r.sendSize || r.sendSHA256)
	if e == ExpectStored && len(r.acknowledged) == 0 {
		return ExpectEither
	}
	return e
}

// Acknowledged returns the distinct events of the recording that were answered 200, in order of their answers. Where
// there is more than one, the stores hold what one of them says.
func (r *Recording) Acknowledged() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.acknowledged)
}

// AcknowledgedAt returns when the first webhook was answered 200; zero if none was.
func (r *Recording) AcknowledgedAt() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.firstAck
}

// count counts a request for the media and returns the faults it meets. A request that follows this server's redirect is
// part of the one before.
func (r *Recording) count(method, byteRange string, followed bool) Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	if method == http.MethodHead && !followed {
		r.heads++
		return r.faults.at(r.gets, r.fetches)
	}
	if !followed {
		r.gets++
		if byteRange != "" {
			r.ranges++
		}
		if byteRange == "" || strings.HasPrefix(byteRange, "bytes=0-") {
			r.fetches++
		}
	}
	f := r.faults.at(max(r.gets-1, 0), max(r.fetches-1, 0))
	r.changed = r.changed || f.Reencoded
	return f
}

func (r *Recording) countDenied() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied++
}
