package worker

import (
	"bytes"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// How long everything may take to come to an end in a world that is well.
const (
	settleStep = 30 * time.Second
	settleTime = 4 * time.Hour
	settleMost = 50_000 // calls
)

// heal makes the world well again; what the platform no longer has, or has changed, stays so.
func (m *model) heal() {
	m.note("all is well again")
	for _, p := range m.processes {
		p.frozen.Store(false)
	}
	for len(m.late) > 0 {
		m.arrive(0)
	}
	m.ledger.SetAway(false)
	m.refuse(false, false, false)
	for _, d := range m.depots {
		d.turn(well, "")
	}
	m.platform.mu.Lock()
	defer m.platform.mu.Unlock()
	for _, r := range m.platform.reels {
		if r.mood.passing() {
			r.mood = serves
		}
	}
}

// settle heals the world and lets everything come to its end.
func (m *model) settle() {
	m.heal()
	synctest.Wait()
	end := time.Now().Add(settleTime)
	for calls := 0; m.broken == ""; calls++ {
		m.look()
		if waiting := m.waiting(); len(waiting) > 0 {
			if calls > settleMost {
				m.breach("everything comes to an end", "%d calls, and still %s %s", calls, waiting[0].op, waiting[0].key)
			}
			m.let(waiting[calls%len(waiting)], works)
			continue
		}
		if m.deliverAll() {
			continue
		}
		open := m.open()
		switch {
		case open == "":
			return
		case time.Now().After(end):
			m.breach("everything comes to an end", "after %s %s", settleTime, open)
		}
		m.wait(settleStep)
	}
}

// deliverAll delivers what can be delivered, and reports whether anything could.
func (m *model) deliverAll() bool {
	n := len(m.history)
	for _, p := range m.processes {
		for _, lane := range queue.Lanes() {
			m.deliver(p, lane, modelSlots)
		}
	}
	synctest.Wait()
	return len(m.history) > n
}

// open names a message that is not acknowledged yet, "" if there is none.
func (m *model) open() string {
	for _, s := range m.recordings.all {
		for name, d := range m.durables {
			if p := d.of[s.seq]; d.takes(s.subject) && (p == nil || !p.acked) {
				return fmt.Sprintf("message %d is not acknowledged by %s", s.seq, name)
			}
		}
	}
	return ""
}

// judge holds the promises that must hold in the end.
func (m *model) judge() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.accepted {
		if !slices.ContainsFunc(m.recordings.all, func(s *stored) bool {
			e, err := event.Parse(s.body)
			return err == nil && e.Data.RecordingID == a.recording && e.ID == event.New(e.Data, a.eventID, time.Time{}).ID
		}) {
			m.breach("a webhook that got its 200 is in the stream", "%s %s", a.recording, a.eventID)
		}
	}
	for _, s := range m.recordings.all {
		for _, t := range tier.All() {
			m.judgeMessage(s, t)
		}
	}
	for _, r := range m.platform.reels {
		m.judgeReel(r)
	}
	m.judgeUploads()
}

// judgeMessage: in the tier, or in a letter.
func (m *model) judgeMessage(s *stored, t tier.Tier) {
	taken := false
	for _, l := range queue.Lanes() {
		taken = taken || m.durables[queue.ConsumerName(t, l)].takes(s.subject)
	}
	e, err := event.Parse(s.body)
	if !taken || slices.ContainsFunc(m.letters.all, func(l *stored) bool {
		letter, err := queue.ParseLetter(l.subject, l.seq, l.header, l.body)
		return err == nil && letter.Tier == t && letter.OriginSeq == s.seq
	}) {
		return
	}
	if err != nil {
		m.breach("every message is stored or in a letter", "message %d is neither: it is no event", s.seq)
		return
	}
	if missing := m.missing(t, e); missing != "" && !m.isLost(t, e.Data.ObjectKey) {
		m.breach("every message is stored or in a letter", "message %d of %s is neither: %s", s.seq, t, missing)
	}
}

// isLost reports whether somebody deleted the object and no delivery has come since that would have noticed, or put
// another there.
func (m *model) isLost(t tier.Tier, key string) bool {
	_, lost := m.losses[object{t, key}]
	_, there := m.depots[t].Object(key)
	return lost && !there || m.planted[object{t, key}]
}

// judgeReel: the same in both tiers, and once.
func (m *model) judgeReel(r *reel) {
	if m.purged[r.name] && m.evidence(r) {
		return // it was noticed that the agreement changed under a commit; the reconciler takes it from there
	}
	var media, sides [2]memstore.Object
	var keys [2]string
	foreign := false // somebody else's object is there
	for i, t := range tier.All() {
		for _, format := range []string{"wav", "mp3"} {
			if o, there := m.depots[t].Object(event.ObjectKey(r.name, format)); there {
				if keys[i] != "" {
					m.breach("one object for one recording", "%s has %s in two formats", t, r.name)
				}
				media[i], keys[i] = o, event.ObjectKey(r.name, format)
				foreign = foreign || m.planted[object{t, keys[i]}]
				if was := m.bodies[object{t, keys[i]}]; !bytes.Equal(was, o.Body) {
					m.breach("never overwritten", "%s %s", t, keys[i])
				}
			}
		}
		sides[i], _ = m.depots[t].Object(event.SidecarKey(r.name))
	}
	if !foreign && keys[0] != "" && keys[1] != "" && (keys[0] != keys[1] || !bytes.Equal(media[0].Body, media[1].Body)) {
		m.breach("both tiers have the same", "%s: %s and %s, %v and %v", r.name, keys[0], keys[1], digest.Of(media[0].Body), digest.Of(media[1].Body))
	}
	if len(sides[0].Body) > 0 && len(sides[1].Body) > 0 && !bytes.Equal(sides[0].Body, sides[1].Body) {
		m.breach("both tiers have the same sidecar", "%s: %s and %s", r.name, sides[0].Body, sides[1].Body)
	}
}

// evidence reports whether a conflict of the recording was audited, or is in a letter.
func (m *model) evidence(r *reel) bool {
	for _, s := range m.letters.all {
		l, err := queue.ParseLetter(s.subject, s.seq, s.header, s.body)
		if err != nil || l.Reason != queue.DigestConflict {
			continue
		}
		if e, err := event.Parse(l.Body); err == nil && e.Data.RecordingID == r.name {
			return true
		}
	}
	return slices.ContainsFunc(m.audit.all, func(s *stored) bool {
		return bytes.Contains(s.body, []byte("audit.conflict.")) && bytes.Contains(s.body, []byte(`"idempotencyKey":"`+r.name+`"`))
	})
}

// judgeUploads: what the ledger has noted is aborted by the next to come, where nothing kept anybody from it.
func (m *model) judgeUploads() {
	for id, noted := range m.uploads {
		if noted && !m.rough {
			m.breach("a noted upload is not left open", "%s", id)
		}
	}
}
