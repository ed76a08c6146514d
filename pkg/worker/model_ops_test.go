package worker

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// play does one operation.
func (m *model) play(o op) {
	switch o.kind {
	case opRest:
	case opRun:
		m.run(o.a, o.b, works)
	case opBreak:
		m.run(o.a, o.b, fate(1+o.c%int(fates-1)))
	case opDeliver:
		m.deliverSome(o)
	case opWebhook:
		m.webhook(o)
	case opWait:
		m.wait(modelWaits()[o.a])
	case opStop:
		m.stopOne(o)
	case opFreeze:
		m.freezeOne(o)
	case opLedger:
		m.ledgerWeather(o)
	case opSource:
		m.sourceMood(o)
	case opStore:
		m.storeWeather(o)
	case opStream:
		m.streamWeather(o)
	case opLate:
		if len(m.late) > 0 {
			m.arrive(o.a % len(m.late))
		}
	case opReconciler:
		m.reconcile(m.platform.reels[o.a%len(m.platform.reels)], o.b%2 == 1)
	case opLose:
		m.lose(tier.All()[o.a%2], m.platform.reels[o.b%len(m.platform.reels)], o.c >= 8)
	case opRedrive:
		m.redrive(o)
	}
}

// modelWaits are the waits: a blink, a pull, a retry, a renewal, a stall, an ack wait, a window of duplicates, and how old
// an entry must be to be withdrawn.
func modelWaits() [16]time.Duration {
	const s = time.Second
	return [16]time.Duration{s / 10, s, s, 5 * s, 5 * s, 8 * s, 8 * s, 16 * s, 20 * s, 30 * s, 61 * s, 61 * s, 120 * s, 300 * s, 660 * s, 960 * s}
}

// wait lets time pass. What is on its way arrives before it gets long.
func (m *model) wait(d time.Duration) {
	for d > 20*time.Second && len(m.late) > 0 {
		m.arrive(0)
	}
	time.Sleep(d)
	synctest.Wait()
}

// arrive lets a call take effect whose answer has long been given up.
func (m *model) arrive(i int) {
	c := m.late[i]
	m.late = append(m.late[:i:i], m.late[i+1:]...)
	err := c.run()
	m.note("%s: %s %s arrives late: %v", c.hand, c.op, c.key, err)
}

func (m *model) deliverSome(o op) {
	var open []*process
	for _, p := range m.processes {
		if p.fetch != nil && !p.frozen.Load() {
			open = append(open, p)
		}
	}
	if len(open) == 0 {
		return
	}
	lanes := queue.Lanes()
	if o.b%4 == 3 {
		lanes[0], lanes[1] = lanes[1], lanes[0]
	}
	for _, lane := range lanes {
		m.deliver(open[o.a%len(open)], lane, 1+o.c%modelSlots)
	}
	synctest.Wait()
}

// webhook is ingress: it publishes, and answers 200 only when the stream has acknowledged.
func (m *model) webhook(o op) {
	r := m.platform.reels[o.a%len(m.platform.reels)]
	if o.b == 15 {
		msg := nats.NewMsg(queue.CompletedSubject(queue.Both))
		msg.Data = []byte(`{"specversion":"1.0","type":"com.twinreel.recording.completed.v1"}`)
		m.recordings.add(msg, "", time.Now())
		m.note("poison: message %d", len(m.recordings.all))
		return
	}
	d := event.Data{
		RecordingID: r.name, Source: event.DefaultSource, Media: event.Media{URL: "http://cdn.example.com/" + r.name, Format: "wav"},
		Participants: []event.Participant{{"id": "p1"}}, Tags: map[string]string{"variant": fmt.Sprint(o.b)},
	}
	is := digest.Of(r.body(0))
	wrong := is.Size + 1
	switch o.b {
	case 10:
		d.Media.Size = &is.Size
	case 11:
		d.Media.Size, d.Media.SHA256 = &is.Size, is.SHA256
	case 12:
		d.Media.Size = &wrong
	case 13:
		d.Media.SHA256 = digest.Of([]byte("another")).SHA256
	case 14:
		d.Media.Format = "mp3"
	}
	id := fmt.Sprint("event-", o.b)
	route := [...]queue.Route{queue.Both, queue.Both, queue.Primary, queue.Backup}[o.c%4]
	if o.c == 15 {
		m.note("webhook %s %s never arrives", r.name, id)
		return
	}
	m.publish(r, d, id, route, o.c >= 12)
}

// publish publishes a webhook's event; where the acknowledgement is lost the platform is told 503.
func (m *model) publish(r *reel, d event.Data, id string, route queue.Route, lost bool) {
	p := queue.NewPublisher(&nats.Conn{}, &js{model: m})
	duplicate, err := p.Completed(context.Background(), route, event.New(d, id, time.Now()), "")
	m.note("webhook %s %s for %s: message %d, duplicate %v, answer lost %v, %v", r.name, id, route, len(m.recordings.all), duplicate, lost, err)
	if err == nil && !lost {
		m.accepted = append(m.accepted, accepted{r.name, id})
	}
}

func (m *model) redrive(o op) {
	if len(m.recordings.all) == 0 {
		return
	}
	e, err := event.Parse(m.recordings.all[o.a%len(m.recordings.all)].body)
	if err != nil {
		return
	}
	e.Type, e.Data.Reason = event.TypeRedrive, "replay"
	body, err := e.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	t := tier.All()[o.b%2]
	_, err = queue.NewPublisher(&nats.Conn{}, &js{model: m}).Redrive(context.Background(), t, fmt.Sprintf("replay-%s-%d-%d", t, o.a, o.c/4), "", body)
	m.note("redrive of %s to %s: message %d, %v", e.Data.RecordingID, t, len(m.recordings.all), err)
}

func (m *model) stopOne(o op) {
	p := m.processes[o.a%len(m.processes)]
	if o.b < 8 && !p.frozen.Load() && !p.stopping {
		m.note("%s is told to stop", p)
		m.shut(p)
	} else if o.b >= 8 {
		m.note("%s is killed", p)
		m.kill(p)
	}
}

func (m *model) freezeOne(o op) {
	p := m.processes[o.a%len(m.processes)]
	for _, q := range m.processes {
		if q.frozen.Load() && o.b >= 4 {
			p = q
		}
	}
	p.frozen.Store(!p.frozen.Load())
	m.note("%s frozen: %v", p, p.frozen.Load())
}

func (m *model) ledgerWeather(o op) {
	switch {
	case o.a < 4:
		m.rough = true
		m.ledger.SetAway(true)
		m.note("the ledger is away")
	case o.a < 12:
		m.ledger.SetAway(false)
	default:
		m.rough = true
		m.ledger.Clear()
		m.note("the ledger has forgotten everything")
	}
}

func (m *model) sourceMood(o op) {
	r := m.platform.reels[o.a%len(m.platform.reels)]
	m.platform.mu.Lock()
	defer m.platform.mu.Unlock()
	switch {
	case o.b < 6:
		r.mood = serves
	case o.b < 12:
		r.mood = mood(o.c % int(moods))
	default:
		r.version++
	}
	m.note("source of %s: mood %d, version %d", r.name, r.mood, r.version)
}

func (m *model) storeWeather(o op) {
	d := m.depots[tier.All()[o.a%2]]
	d.turn(well, "")
	if o.b >= 8 {
		m.rough = true
		d.turn(weather(1+o.c%int(weathers-1)), m.platform.reels[o.b%len(m.platform.reels)].name)
	}
	m.note("store of %s: weather %d %s", d.tier, d.weather, d.refused)
}

func (m *model) streamWeather(o op) {
	was := m.audit.refuses.Load()
	m.refuse(o.a > 5 && o.a < 10, o.a > 9 && o.a < 13, o.a > 12)
	if m.audit.refuses.Load() && !was {
		m.refusing = m.at
	}
}

// refuse says which of AUDIT, RECORDINGS_DLQ and the digests' bucket take nothing.
func (m *model) refuse(audit, letters, digests bool) {
	m.audit.refuses.Store(audit)
	m.letters.refuses.Store(letters)
	m.bucket.away.Store(digests)
	m.note("AUDIT refuses %v, RECORDINGS_DLQ %v, digests away %v", audit, letters, digests)
}

// lose deletes the recording's media in one tier, as nobody of ours can; or, where they are not there, somebody else puts
// other bytes of that length into their place.
func (m *model) lose(t tier.Tier, r *reel, plant bool) {
	key := event.ObjectKey(r.name, "wav")
	_, there := m.depots[t].Object(key)
	switch {
	case there && !m.planted[object{t, key}]:
		m.note("%s loses %s", t, key)
		m.depots[t].Lose(key)
		m.losses[object{t, key}] = len(m.history)
	case !there && plant:
		m.note("somebody puts something else to %s %s", t, key)
		o := memstore.Object{Body: r.body(-1)}
		m.depots[t].Plant(key, o)
		m.bodies[object{t, key}], m.planted[object{t, key}] = o.Body, true
	}
}

// reconcile is what the reconciler does with an entry. That both tiers have what was agreed on it may find long before it
// purges the entry at that revision; that nobody uses it, right before.
func (m *model) reconcile(r *reel, purge bool) {
	key := event.HashKey(r.name)
	e, there := m.bucket.entries[key]
	switch {
	case !there:
	case !purge:
		m.verdicts[r.name] = 0
		if m.confirmed(r) {
			m.verdicts[r.name] = e.revision
		}
	case m.verdicts[r.name] == e.revision || m.unused(r, e):
		m.note("the entry of %s is purged", r.name)
		delete(m.bucket.entries, key)
		m.purged[r.name] = true
	}
}

// confirmed reports whether both tiers have the recording as agreed, and nothing of it is open.
func (m *model) confirmed(r *reel) bool {
	for _, l := range m.letters.all {
		if e, err := event.Parse(l.body); err == nil && e.Data.RecordingID == r.name {
			return false
		}
	}
	for _, s := range m.recordings.all {
		if e, err := event.Parse(s.body); err != nil || e.Data.RecordingID != r.name {
			continue
		}
		for _, d := range m.durables {
			if p := d.of[s.seq]; d.takes(s.subject) && (p == nil || !p.acked) {
				return false
			}
		}
	}
	agreed, err := digest.ParseEntry(m.bucket.entries[event.HashKey(r.name)].value)
	for _, t := range tier.All() {
		o, there := m.depots[t].Object(agreed.ObjectKey)
		if err != nil || !there || digest.Of(o.Body) != agreed.Digest {
			return false
		}
	}
	return true
}

// unused reports whether nobody has stored what was agreed on, nor is at it, for a long time.
func (m *model) unused(r *reel, e entry) bool {
	if time.Since(e.made) < 15*time.Minute {
		return false
	}
	for _, d := range m.depots {
		for _, format := range []string{"wav", "mp3"} {
			if _, err := d.Stat(context.Background(), event.ObjectKey(r.name, format)); err == nil {
				return false
			}
		}
		if _, err := d.Stat(context.Background(), event.SidecarKey(r.name)); err == nil {
			return false // the media were there, and somebody deleted them
		}
		got, err := m.ledger.Claim(context.Background(), r.name, d.tier)
		if err != nil || got.Lease == nil {
			return false
		}
		if err := got.Lease.Release(context.Background(), false); err != nil {
			return false
		}
	}
	return true
}

var _ objstore.Streamer = streamer{}
