package platform

import "time"

// End is how the body of a media answer ends.
type End int

// The ways in which a body ends.
const (
	Whole     End = iota // as promised
	Truncated            // the connection is closed at byte EndAt; together with Chunked, the body ends there cleanly
	Stalled              // nothing comes after byte EndAt, and the connection stays open
	Reset                // the connection is reset at byte EndAt
)

// Faults says how a recording's media misbehave. The zero value is a sound recording. Faults combine where that makes
// sense (Chunked with Truncated, BytesPerSecond with Reset).
//
// After and Times say when: on the GETs after the first After, and then for Times of them, for ever if Times is 0.
// PerFetch counts fetches instead, which begin with a GET of the whole or of a range from byte 0; ranges further on
// belong to the latest fetch. A HEAD sees what is in force, and is not counted.
type Faults struct {
	After    int
	Times    int
	PerFetch bool

	Status     int           // answered instead of media
	RetryAfter time.Duration // sent with Status, in seconds
	HTML       bool          // a login page with status 200
	WrongMagic bool          // the right length, but not the format
	Reencoded  bool          // other bytes of the same size and format, with another ETag
	Gzip       bool          // Content-Encoding: gzip, asked for or not; no Content-Length
	Chunked    bool          // no Content-Length; ranges are not taken
	NoRanges   bool          // a Range is answered with 200 and the whole
	Redirects  int           // hops over this server before the media
	RedirectTo string        // the one place that a GET is sent to instead of the media

	End            End
	EndAt          int64 // in bytes of the whole file, also in a range
	BytesPerSecond int64 // for each GET; as fast as it goes if 0

	// PromisedSize is what the event says of the size, if it is not 0, whenever the event is made.
	PromisedSize int64
}

// at returns the faults in force at the GET of which get went before, in the fetch of which fetch went before.
func (f Faults) at(get, fetch int) Faults {
	n := get
	if f.PerFetch {
		n = fetch
	}
	if n < f.After || (f.Times > 0 && n >= f.After+f.Times) {
		return Faults{}
	}
	return f
}

// Expect says what must be in a store when everything has come to rest.
type Expect int

// What the stores may hold.
const (
	ExpectByFaults Expect = iota // worked out from the answers to the webhooks and from the faults
	ExpectStored                 // the recording, in both
	ExpectAbsent                 // nothing of it, in either
	ExpectEither                 // it depends on who came when; if it is there, it is right
)

func (e Expect) String() string {
	return [...]string{"by faults", "stored", "absent", "either"}[e]
}

// maxRedirects is how many hops Twinreel follows.
const maxRedirects = 3

// expect works out what becomes of a webhook's media that was taken; lengthKnown says that the event names size or sha256.
func (f Faults) expect(size int64, lengthKnown bool) Expect {
	if f.PromisedSize != 0 && f.PromisedSize != size {
		return ExpectAbsent
	}
	bad := f.Status != 0 || f.HTML || f.WrongMagic || f.Gzip || f.RedirectTo != "" || f.Redirects > maxRedirects ||
		(f.End != Whole && f.EndAt < size) || (f.Chunked && !lengthKnown)
	switch {
	case f.Reencoded: // two tiers may read different bytes, and then one of them gives up
		return ExpectEither
	case f.Times > 0: // it passes
		return ExpectStored
	case !bad:
		return ExpectStored
	case f.After > 0:
		return ExpectEither
	}
	return ExpectAbsent
}
