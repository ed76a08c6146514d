package worker

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// promised is what was seen, for the promises to be held against.
type promised struct {
	seen     map[origin]*seen
	bodies   map[object][]byte // by whom it was first made visible
	losses   map[object]int    // when somebody deleted it behind our back, by the history
	uploads  map[string]bool   // open ones; true: the ledger has noted it
	verdicts map[string]uint64
	planted  map[object]bool // somebody else's object is there
	purged   map[string]bool // recordings whose entry the reconciler has purged
	rough    bool            // something happened that may leave an upload open
	refusing int             // since which operation AUDIT refuses
}

type (
	origin struct {
		tier tier.Tier
		seq  uint64
	}
	object struct {
		tier tier.Tier
		key  string
	}
)

// seen is what one tier has met with for one message, each delivery once.
type seen struct {
	gone                      []time.Time
	lastFor                   int // status of the last of them
	unusable, failed, refused int
	by                        map[*hand]bool
}

func newPromised() promised {
	return promised{
		seen: map[origin]*seen{}, bodies: map[object][]byte{}, losses: map[object]int{}, uploads: map[string]bool{},
		verdicts: map[string]uint64{}, planted: map[object]bool{}, purged: map[string]bool{},
	}
}

func (m *model) saw(h *hand) *seen {
	at := origin{h.process.tier, h.seq}
	if m.seen[at] == nil {
		m.seen[at] = &seen{by: map[*hand]bool{}}
	}
	return m.seen[at]
}

// sourceSaid notes how the source failed a delivery.
func (m *model) sourceSaid(h *hand, err error) {
	if err == nil || errors.Is(err, errDead) || m.isDead(h.process) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h.looked = false
	s := m.saw(h)
	if s.by[h] || !fault.Is(err, fault.ClassOf(err), fault.Source) {
		return
	}
	s.by[h] = true
	switch fault.ClassOf(err) {
	case fault.SourceGone:
		s.gone, s.lastFor = append(s.gone, time.Now()), fault.StatusOf(err)
	case fault.Corrupt:
		s.unusable++
	case fault.Throttled:
	default:
		s.failed++
	}
}

// sourceEnded notes that the source gave all it has.
func (m *model) sourceEnded(h *hand, d digest.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.looked = false
	if s := m.saw(h); h.event.Data.Media.SHA256 != "" && h.event.Data.Media.SHA256 != d.SHA256 && !s.by[h] {
		s.by[h] = true
		s.unusable++
	}
}

// observe notes what a call says about its delivery.
func (m *model) observe(c *call, err error) {
	h := c.hand
	m.mu.Lock()
	defer m.mu.Unlock()
	media := strings.HasPrefix(c.key, "recordings/")
	switch name, rest, _ := strings.Cut(c.op, " "); {
	case name == "kv" || name == "source":
		h.checked = false
	case c.op == "store stat" && media:
		h.proven = err == nil
		h.looked = err == nil || errors.Is(err, objstore.ErrNotExist)
	case c.op == "store read" && errors.Is(err, objstore.ErrNotExist):
		h.looked = true
	case media && (c.op == "store put" || c.op == "store commit"):
		if h.claimed && !h.checked {
			m.breach("whoever has a claim looks whether it still is theirs before the commit", "%s", h)
		}
		h.proven, h.looked = err == nil, false
	case name == "store" && c.key != objstore.ProbeKey && err != nil:
		h.looked = false
	case name == "publish" && strings.HasPrefix(rest, "audit."):
		h.audited = h.audited || err == nil && originOf(c.key) == h.seq
		if err == nil {
			h.process.refused = -1
		} else if m.audit.refuses.Load() {
			h.process.refused = m.at
		}
	case name == "publish":
		h.lettered = h.lettered || err == nil
	}
	if c.op == "store abandon" || c.op == "store abort" {
		return // what is tidied up decides nothing
	}
	if s := m.saw(h); fault.Is(err, fault.Permanent, fault.Store) && !s.by[h] {
		s.by[h] = true
		s.refused++
	}
}

// made notes an object that was just made visible, unless err says that it was not.
func (m *model) made(d *depot, key string, err error) error {
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := object{d.tier, key}
	o, _ := d.Object(key)
	if _, there := m.bodies[at]; there {
		if _, lost := m.losses[at]; !lost {
			m.breach("one version", "%s %s was made twice", d.tier, key)
		}
	}
	delete(m.losses, at)
	m.bodies[at] = o.Body
	if name, media := strings.CutPrefix(key, "recordings/"); media {
		m.agreed(d.tier, m.platform.find(name), key, o.Body)
	}
	return nil
}

// agreed holds a new recording against what both tiers agreed on.
func (m *model) agreed(t tier.Tier, r *reel, key string, body []byte) {
	e, err := digest.ParseEntry(m.bucket.entries[event.HashKey(r.name)].value)
	switch {
	case !r.had(body):
		m.breach("what is stored is what the platform gave", "%s %s: its bytes are no version of the recording", t, key)
	case m.purged[r.name]:
	case err != nil:
		m.breach("nothing is committed that was not agreed on", "%s %s: %v", t, key, err)
	case e.Digest != digest.Of(body) || e.ObjectKey != key:
		m.breach("nothing is committed but what was agreed on", "%s %s: %v was agreed on", t, key, e.Digest)
	}
}

// opened, noted and closed follow an upload: IDs are of one tier's store.
func (m *model) opened(t tier.Tier, id string) { m.upload(t, id, false) }

func (m *model) noted(t tier.Tier, id string) { m.upload(t, id, true) }

func (m *model) upload(t tier.Tier, id string, noted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[t.String()+" "+id] = noted
}

func (m *model) closed(t tier.Tier, id string, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.uploads, t.String()+" "+id)
	}
	return err
}

// published holds a message that a stream has just taken against the promises.
func (m *model) published(h *hand, s *stream, msg *stored) {
	if s != m.letters || h == nil {
		return
	}
	l, err := queue.ParseLetter(msg.subject, msg.seq, msg.header, msg.body)
	if err != nil || l.Tier != h.process.tier || l.OriginSeq != h.seq || !bytes.Equal(l.Body, m.recordings.all[h.seq-1].body) {
		m.breach("a letter holds its event byte for byte", "%s: %+v %v", h, l, err)
		return
	}
	m.note("%s: letter, %s", h, l.Reason)
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.valid && !h.looked && l.Reason != queue.DigestConflict { // an event that contradicts has nothing to be looked for
		m.breach("the tier is looked at once more before a letter", "%s: %s", h, l.Reason)
	}
	if !m.isTrue(l.Reason, h) {
		m.breach("a letter has its true reason", "%s: %s, but what was seen is %+v", h, l.Reason, *m.saw(h))
	}
}

// isTrue reports whether a delivery's letter may have that reason.
func (m *model) isTrue(reason queue.Reason, h *hand) bool {
	s, e := m.saw(h), h.event
	switch reason {
	case queue.InvalidEvent:
		return !h.valid
	case queue.SourceGone:
		n := len(s.gone)
		return n >= kindTries && (s.lastFor == 410 || s.gone[n-1].Sub(s.gone[0]) >= goneSpread*modelBase)
	case queue.SourceUnusable:
		// Of what is read by ranges nobody but the copy itself sees that the whole has another sha256.
		other := e.Data.Media.SHA256 != "" && m.platform.find(e.Data.RecordingID).served > 0
		return s.unusable >= kindTries || h.count >= kindTries && (other || !m.fitting(e))
	case queue.DigestConflict:
		return m.platform.find(e.Data.RecordingID).served > 0 || !m.fitting(e) || m.planted[object{h.process.tier, e.Data.ObjectKey}]
	case queue.StoreRefused:
		return s.refused >= kindTries
	case queue.AttemptsExhausted:
		return s.failed >= modelTries
	}
	return false
}

// fitting reports whether the event fits the recording as it was from the start, and the format that was agreed on.
func (m *model) fitting(e event.Event) bool {
	d := digest.Of(m.platform.find(e.Data.RecordingID).body(0))
	media := e.Data.Media
	agreed, err := digest.ParseEntry(m.bucket.entries[event.HashKey(e.Data.IdempotencyKey)].value)
	for _, t := range tier.All() {
		if o, there := m.depots[t].Object(event.SidecarKey(e.Data.IdempotencyKey)); err != nil && there {
			var s event.Sidecar
			if s, err = event.ParseSidecar(o.Body); err == nil {
				agreed.ObjectKey = s.ObjectKey
			}
		}
	}
	return media.Format == "wav" && (err != nil || agreed.ObjectKey == e.Data.ObjectKey) &&
		(media.Size == nil || *media.Size == d.Size) && (media.SHA256 == "" || media.SHA256 == d.SHA256)
}

// acknowledged holds an acknowledgement that is just taking effect against the promises.
func (m *model) acknowledged(g *parcel) {
	h := g.hand
	m.mu.Lock()
	defer m.mu.Unlock()
	if !h.audited {
		m.breach("the audit event comes before the acknowledgement", "%s", h)
	}
	if h.lettered {
		return
	}
	if !h.proven {
		m.breach("an acknowledgement rests on a Stat or a verified write in this delivery", "%s", h)
	}
	if missing := m.missing(h.process.tier, h.event); missing != "" && m.losses[object{h.process.tier, h.event.Data.ObjectKey}] <= h.began {
		m.breach("acknowledged means stored", "%s: %s", h, missing)
	}
}

// missing says what of the event's recording the tier does not have, "" if it has all.
func (m *model) missing(t tier.Tier, e event.Event) string {
	d := m.depots[t]
	o, there := d.Object(e.Data.ObjectKey)
	if !there {
		return t.String() + " has no " + e.Data.ObjectKey
	}
	side, there := d.Object(event.SidecarKey(e.Data.IdempotencyKey))
	if !there {
		return t.String() + " has no sidecar of " + e.Data.IdempotencyKey
	}
	parsed, err := event.ParseSidecar(side.Body)
	if err != nil {
		return err.Error()
	}
	got, err := parsed.Digest()
	media := e.Data.Media
	switch is := digest.Of(o.Body); {
	case err != nil || got != is || parsed.ObjectKey != e.Data.ObjectKey:
		return t.String() + ": the sidecar names other media"
	case media.Size != nil && *media.Size != is.Size, media.SHA256 != "" && media.SHA256 != is.SHA256:
		return t.String() + ": the media are not what the event names"
	}
	return ""
}

// look holds the promises that must hold at any time.
func (m *model) look() {
	m.reap()
	for _, p := range m.processes {
		if used := p.copier.Buffers.Held(); used > modelMemory {
			m.breach("memory is bounded", "%s holds %d bytes", p, used)
		}
		if p.fetch != nil && m.audit.refuses.Load() && p.refused >= m.refusing && p.fetch.since > p.refused {
			m.breach("nothing is pulled while AUDIT takes nothing", "%s", p)
		}
	}
}

// buried looks at a process that has ended: what it held is on the queue again.
func (m *model) buried(p *process) {
	if m.isDead(p) {
		return
	}
	for _, d := range m.durables {
		for seq, of := range d.of {
			if of.hand != nil && of.hand.process == p && !of.hand.ended {
				m.breach("what was held at a stop is handed back at once", "%s message %d", p, seq)
			}
		}
	}
}
