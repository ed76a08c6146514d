package inventory

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Entry is what the ledger says of a recording: what was acknowledged to a platform, and who still has to do with it.
type Entry struct {
	IdempotencyKey string
	ObjectKey      string
	First          time.Time // when it was accepted, in whole milliseconds: by its events, else as the sealed log claims
	Newest         time.Time // when its newest event was accepted
	Sequence       uint64    // of its newest accepted event in RECORDINGS; 0 where there is none
	Peer           uint64    // likewise, in the mirror of the peer region's
	Forgotten      bool      // erased on purpose, as the sealed log claims, unproven
	Sealed         Sealed    // what the sealed log says ObjectKey's bytes are
	Tiers          [2]Hands  // primary's, backup's
}

// Sealed is what the sealed log says the bytes of a recording are. Zero: nothing.
type Sealed struct {
	digest.Digest
	Torn bool // its leaves contradict each other; Digest is what the first said
}

// Known says that there is something to hold against it.
func (s Sealed) Known() bool { return s.Torn || s.Digest.Known() }

// add takes in what else the log says of the same object.
func (s *Sealed) add(o Sealed) {
	torn := s.Torn || o.Torn || s.Digest.Known() && o.Digest.Known() && s.Digest != o.Digest
	if !s.Digest.Known() {
		s.Digest = o.Digest
	}
	s.Torn = torn
}

// Hands is what a tier has in its hands of a recording.
type Hands struct {
	Open    bool   // an event that it has not taken yet, or is at since less than an hour
	Redrive uint64 // sequence of the newest event that it has not finished, which may still bring what it lacks; 0 for none
	Sent    uint64 // sequence of the newest that was sent to it again, finished or not
	// Followed says that it has not finished an event of the peer region's: it fetches it, or waits for a copy.
	Followed bool
}

// Accepted says that an event of it is still there, by which it can be sent again.
func (e *Entry) Accepted() bool { return e.Sequence > 0 || e.Peer > 0 }

// In returns what tier t has in its hands.
func (e *Entry) In(t tier.Tier) *Hands {
	if t == tier.Primary {
		return &e.Tiers[0]
	}
	return &e.Tiers[1]
}

// Add takes in what another event of the same recording says.
func (e *Entry) Add(o Entry) {
	switch {
	case e.ObjectKey == o.ObjectKey:
		e.Sealed.add(o.Sealed)
	case e.ObjectKey == "" || o.Sealed.Known() && !e.Sealed.Known():
		e.ObjectKey, e.Sealed = o.ObjectKey, o.Sealed
	}
	switch accepted := e.Accepted(); {
	case accepted == o.Accepted():
		e.First = earlier(e.First, o.First)
	case !accepted: // an event tells when: what the log claims beside it could make a young recording expire
		e.First = o.First
	}
	if o.Newest.After(e.Newest) {
		e.Newest = o.Newest
	}
	e.Sequence, e.Peer, e.Forgotten = max(e.Sequence, o.Sequence), max(e.Peer, o.Peer), e.Forgotten || o.Forgotten
	for i := range e.Tiers {
		e.Tiers[i].Open = e.Tiers[i].Open || o.Tiers[i].Open
		e.Tiers[i].Redrive = max(e.Tiers[i].Redrive, o.Tiers[i].Redrive)
		e.Tiers[i].Sent = max(e.Tiers[i].Sent, o.Tiers[i].Sent)
		e.Tiers[i].Followed = e.Tiers[i].Followed || o.Tiers[i].Followed
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// The bits of an entry that is written out.
const (
	bitForgotten = 1 << iota
	bitOpenPrimary
	bitOpenBackup
	bitTorn
	bitFollowedPrimary
	bitFollowedBackup
)

// encode returns the entry's bytes for a spool.
func (e *Entry) encode() []byte {
	var bits uint64
	for bit, on := range map[uint64]bool{
		bitForgotten: e.Forgotten, bitOpenPrimary: e.Tiers[0].Open, bitOpenBackup: e.Tiers[1].Open, bitTorn: e.Sealed.Torn,
		bitFollowedPrimary: e.Tiers[0].Followed, bitFollowedBackup: e.Tiers[1].Followed,
	} {
		if on {
			bits |= bit
		}
	}
	b := make([]byte, 0, len(e.IdempotencyKey)+len(e.ObjectKey)+80)
	b = appendText(appendText(b, e.IdempotencyKey), e.ObjectKey)
	sum, _ := hex.DecodeString(e.Sealed.SHA256) // what is none was never taken in
	b = appendText(b, string(sum))
	for _, n := range []uint64{
		uint64(e.First.UnixMilli()), uint64(e.Newest.UnixMilli() - e.First.UnixMilli()), e.Sequence, bits, e.Tiers[0].Redrive, e.Tiers[1].Redrive, e.Tiers[0].Sent, e.Tiers[1].Sent,
		uint64(e.Sealed.Size), e.Sealed.CRC64, e.Peer,
	} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errEntry = errors.New("an entry of the ledger cannot be read back")

// decode reads what encode wrote.
func decode(b []byte) (e Entry, err error) {
	text := func() (s string) {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			err = errEntry
			return ""
		}
		s, b = string(b[w:w+int(n)]), b[w+int(n):]
		return s
	}
	e.IdempotencyKey, e.ObjectKey = text(), text()
	e.Sealed.SHA256 = hex.EncodeToString([]byte(text()))
	var n [11]uint64
	for i := range n {
		v, w := binary.Uvarint(b)
		if w <= 0 {
			return Entry{}, errEntry
		}
		n[i], b = v, b[w:]
	}
	if err != nil || len(b) != 0 {
		return Entry{}, fmt.Errorf("%w", errEntry)
	}
	e.First = time.UnixMilli(int64(n[0])).UTC()
	e.Newest = time.UnixMilli(int64(n[0] + n[1])).UTC()
	e.Sequence, e.Peer, e.Forgotten = n[2], n[10], n[3]&bitForgotten != 0
	e.Sealed.Torn, e.Sealed.Size, e.Sealed.CRC64 = n[3]&bitTorn != 0, int64(n[8]), n[9]
	e.Tiers = [2]Hands{
		{n[3]&bitOpenPrimary != 0, n[4], n[6], n[3]&bitFollowedPrimary != 0}, {n[3]&bitOpenBackup != 0, n[5], n[7], n[3]&bitFollowedBackup != 0},
	}
	return e, nil
}
