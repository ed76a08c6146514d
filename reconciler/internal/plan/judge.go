package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
)

// Facts are what a closer look at a subject brought.
type Facts struct {
	*evidence.Evidence
	Forgotten bool                            // erased on purpose
	Tags      map[tier.Tier]map[string]string // nil: not asked for
	Read      map[tier.Tier]digest.Digest     // of copies whose store reports no checksum: read back
	Letters   map[tier.Tier]bool              // open ones
	GivenUp   map[tier.Tier]string            // by whom, and why, its last letter was discarded; asked where a tier lacks something
}

// lacking says that a tier lacks the media, or what explains them.
func (f Facts) lacking() bool {
	for _, t := range tier.All() {
		if f.Object[t] == nil || f.Sidecar[t] == nil {
			return true
		}
	}
	return false
}

// judge says what is wrong with a subject. It decides from what it is given alone.
func judge(s Subject, f Facts, r Rules) []Finding {
	j := judgement{subject: s, facts: f, rules: r, agreed: f.Agreed()}
	switch {
	case f.Forgotten:
		j.erased()
	case s.Entry == nil:
		j.unknown()
	default:
		j.others()
		j.missing()
		for _, t := range tier.All() {
			j.copy(t)
		}
		j.sidecars()
		j.sealed()
		j.several()
	}
	return j.out
}

type judgement struct {
	subject Subject
	facts   Facts
	rules   Rules
	agreed  *digest.Entry // what both must store; nil: nobody knows
	out     []Finding
}

// add adds a finding.
func (j *judgement) add(k Kind, t, objectKey string, a Action, format string, args ...any) *Finding {
	j.out = append(j.out, Finding{
		Kind: k, Tier: t, IdempotencyKey: j.subject.Key, ObjectKey: objectKey, Action: a, Evidence: fault.Clean(fmt.Sprintf(format, args...)),
	})
	return &j.out[len(j.out)-1]
}

// objectKey is the key of the recording's media.
func (j *judgement) objectKey() string {
	if j.agreed != nil && j.agreed.ObjectKey != "" {
		return j.agreed.ObjectKey
	}
	return j.subject.ObjectKey()
}

// erased reports copies of what was forgotten: whoever may has still to delete them.
func (j *judgement) erased() {
	const what = "forgotten, and still there: whoever may erase has to do so in the store"
	for _, t := range tier.All() {
		said := map[string]bool{}
		say := func(key string) {
			if !said[key] {
				said[key] = true
				j.add(Erased, t.String(), key, Report, what)
			}
		}
		if j.facts.Object[t] != nil {
			say(j.facts.Object[t].Key)
		}
		if j.facts.Sidecar[t] != nil || j.facts.Foreign[t] != nil {
			say(event.SidecarKey(j.subject.Key))
		}
		for _, o := range j.subject.Others {
			if o.Tier == t {
				say(o.Key)
			}
		}
		for _, v := range j.subject.Several {
			if v.Tier == t && !said[v.Key] {
				said[v.Key] = true
				j.add(Erased, t.String(), v.Key, Report, "forgotten, and %d older versions are still there", v.Versions)
			}
		}
	}
}

// unknown judges objects of a recording that nobody was ever told 200 for, or of none at all.
func (j *judgement) unknown() {
	for _, o := range j.subject.Others {
		switch {
		case j.agreed == nil:
			j.add(UnknownObject, o.Tier.String(), o.Key, Quarantine, "no event, no sidecar and no agreement names it")
		case o.Key == j.agreed.ObjectKey || o.Key == event.SidecarKey(j.subject.Key):
			j.add(UnknownObject, o.Tier.String(), o.Key, Quarantine, "a sidecar explains it, but no accepted event names the recording")
		default:
			j.add(TwoKeys, o.Tier.String(), o.Key, Quarantine, "the recording's media are %s", j.agreed.ObjectKey)
		}
	}
}

// others judges what stores list beside what the ledger expects.
func (j *judgement) others() {
	for _, o := range j.subject.Others {
		if o.Key != j.objectKey() && o.Key != event.SidecarKey(j.subject.Key) {
			j.add(TwoKeys, o.Tier.String(), o.Key, Quarantine, "the recording's media are %s", j.objectKey())
		}
	}
}

// missing judges what the tiers lack.
func (j *judgement) missing() {
	var lacks []tier.Tier
	for _, t := range tier.All() {
		if j.facts.Object[t] == nil && !j.rules.excused(j.subject.Entry, t) {
			lacks = append(lacks, t)
		}
	}
	if len(lacks) == 0 {
		return
	}
	both := j.facts.Object[tier.Primary] == nil && j.facts.Object[tier.Backup] == nil
	past := j.rules.past(j.subject.Entry)
	kind, who := MissingBackup, string(lacks[0])
	switch {
	case past && (both || lacks[0] == tier.Primary):
		j.add(Expired, who, j.objectKey(), Report, "accepted %s, past retention", j.subject.Entry.First.Format("2006-01-02"))
		return
	case both && len(lacks) == 2:
		kind, who = MissingBoth, All
	case lacks[0] == tier.Primary:
		kind = MissingPrimary
	}
	action, sends, why := j.mend(lacks)
	f := j.add(kind, who, j.objectKey(), action, "not there, accepted %s%s%s", j.subject.Entry.First.Format("2006-01-02T15:04:05Z"), why, j.hidden(lacks))
	for _, t := range sends {
		f.sends = append(f.sends, j.send(t))
	}
}

// send is the event that would be sent to tier t.
func (j *judgement) send(t tier.Tier) Send {
	s := Send{Tier: t, Sequence: j.subject.Entry.Sequence, Peer: j.subject.Entry.Peer, After: j.subject.Entry.In(t).Sent}
	if sealed := j.subject.Entry.Sealed; j.agreed == nil && sealed.Digest.Known() && !sealed.Torn {
		s.Expect = &sealed.Digest
	}
	return s
}

// contradicted says that what is agreed on is not what the sealed log says was stored.
func (j *judgement) contradicted() bool {
	sealed := j.subject.Entry.Sealed
	return j.agreed != nil && sealed.Digest.Known() && (j.elsewhere() || j.agreed.Digest != sealed.Digest)
}

// elsewhere says that what is agreed on is another object than the one that was sealed.
func (j *judgement) elsewhere() bool {
	return j.subject.Entry.Sealed.Known() && j.agreed.ObjectKey != j.subject.Entry.ObjectKey
}

// sealed holds what is agreed on today against what the sealed log says was stored: whoever lost both copies and fetched
// others would be in step with himself.
func (j *judgement) sealed() {
	sealed := j.subject.Entry.Sealed
	switch {
	case sealed.Torn:
		j.add(ChecksumDiffers, All, j.objectKey(), Quarantine, "the sealed log has leaves that contradict each other; the first says sha256 %.12s", sealed.SHA256)
	case j.contradicted() && j.elsewhere():
		j.add(TwoKeys, All, j.objectKey(), Quarantine, "the sealed log says the recording's media are %s", j.subject.Entry.ObjectKey)
	case j.contradicted():
		j.add(ChecksumDiffers, All, j.objectKey(), Quarantine, "agreed sha256 %.12s, %d bytes; the sealed log says sha256 %.12s, %d bytes",
			j.agreed.SHA256, j.agreed.Size, sealed.SHA256, sealed.Size)
	}
}

// hidden tells of versions that are still there below a deletion.
func (j *judgement) hidden(lacks []tier.Tier) string {
	for _, v := range j.subject.Several {
		if slices.Contains(lacks, v.Tier) && v.Key == j.objectKey() && !v.Visible {
			return fmt.Sprintf("; deleted, %d older versions are still there", v.Versions)
		}
	}
	return ""
}

// mend says how what these tiers lack comes back.
func (j *judgement) mend(lacks []tier.Tier) (a Action, to []tier.Tier, why string) {
	if j.subject.Entry.Forgotten { // never brought back, and never given up, by a claim that nobody has proven
		return Quarantine, nil, "; the sealed log claims that it was forgotten, and no tombstone does"
	}
	var free []tier.Tier
	for _, t := range lacks {
		if j.subject.Entry.In(t).Redrive == 0 {
			free = append(free, t)
		}
	}
	if len(free) == 0 {
		return Await, nil, "; an event of it is under way"
	}
	if len(lacks) == 1 && j.facts.Verified(lacks[0].Sibling()) && j.facts.Clear() && !j.contradicted() {
		return Copy, free, "; " + lacks[0].Sibling().String() + " has a verified copy"
	}
	free = slices.DeleteFunc(free, func(t tier.Tier) bool { return j.subject.Entry.In(t).Followed })
	if len(free) == 0 {
		return Await, nil, "; the other region's event of it is under way here"
	}
	free = slices.DeleteFunc(free, func(t tier.Tier) bool { return j.facts.Letters[t] })
	if len(free) == 0 {
		return AwaitHuman, nil, "; given up: it has an open dead letter"
	}
	var given string
	free = slices.DeleteFunc(free, func(t tier.Tier) bool {
		given = cmp.Or(j.facts.GivenUp[t], given)
		return j.facts.GivenUp[t] != ""
	})
	switch {
	case len(free) == 0:
		return Known, nil, "; given up: " + given
	case j.contradicted(): // what it would bring could never be what was stored once
		return Quarantine, nil, "; what tells what it must be contradicts the sealed log"
	case j.subject.Entry.Accepted():
		return Fetch, free, ""
	case j.rules.Resolver && j.agreed != nil && len(j.agreed.Sidecar) > 0:
		return Fetch, free, "; by its sidecar and a fresh link"
	}
	return Quarantine, nil, "; no event, no copy and no fresh link to fetch it by"
}

// copy holds a tier's copy against what was agreed on.
func (j *judgement) copy(t tier.Tier) {
	o := j.facts.Object[t]
	if o == nil {
		return
	}
	young := j.rules.excused(j.subject.Entry, t)
	switch read, seen := j.facts.Read[t]; {
	case j.agreed == nil:
		if sealed := j.subject.Entry.Sealed; o.Key == j.subject.Entry.ObjectKey && sealed.Digest.Known() && !sealed.Torn &&
			(o.Size != sealed.Size || o.HasCRC64 && o.CRC64 != sealed.CRC64) {
			j.add(ChecksumDiffers, t.String(), o.Key, Quarantine, "%d bytes, crc64nvme %s; the sealed log says %d bytes, %s",
				o.Size, digest.EncodeCRC64(o.CRC64), sealed.Size, digest.EncodeCRC64(sealed.CRC64))
			return
		}
		if !young {
			j.explain(t, o.Key, "no sidecar and no agreement says what it must be")
		}
		return
	case o.Size != j.agreed.Size:
		j.add(SizeDiffers, t.String(), o.Key, Quarantine, "%d bytes, agreed %d", o.Size, j.agreed.Size)
		return
	case o.HasCRC64 && o.CRC64 != j.agreed.CRC64:
		j.add(ChecksumDiffers, t.String(), o.Key, Quarantine, "crc64nvme %s, agreed %s", digest.EncodeCRC64(o.CRC64), digest.EncodeCRC64(j.agreed.CRC64))
		return
	case !o.HasCRC64 && seen && read != j.agreed.Digest:
		j.add(ChecksumDiffers, t.String(), o.Key, Quarantine, "read back: sha256 %s, agreed %s", read.SHA256, j.agreed.SHA256)
		return
	}
	j.tags(t, o.Key)
	if j.facts.Sidecar[t] == nil && j.facts.Foreign[t] == nil && !young {
		j.explain(t, event.SidecarKey(j.subject.Key), "the media are there, their sidecar is not")
	}
}

// explain has a tier write the sidecar that is not there.
func (j *judgement) explain(t tier.Tier, key, why string) {
	action, sends := Explain, []Send{j.send(t)}
	known := j.agreed != nil && len(j.agreed.Sidecar) > 0
	switch {
	case j.subject.Entry.In(t).Redrive > 0, j.subject.Entry.In(t).Followed:
		action, sends, why = Await, nil, why+"; an event of it is under way"
	case !known && j.facts.Letters[t]:
		action, sends, why = AwaitHuman, nil, why+"; it has an open dead letter"
	case !known && j.facts.GivenUp[t] != "":
		action, sends, why = Known, nil, why+"; given up: "+j.facts.GivenUp[t]
	case !known && !j.subject.Entry.Accepted():
		action, sends = Quarantine, nil
	}
	j.add(MetadataMissing, t.String(), key, action, "%s", why).sends = sends
}

// tags holds a copy's tags against the agreed sidecar's.
func (j *judgement) tags(t tier.Tier, key string) {
	have := j.facts.Tags[t]
	if have == nil || len(j.agreed.Sidecar) == 0 {
		return
	}
	side, err := event.ParseSidecar(j.agreed.Sidecar)
	if err != nil {
		return // said of the sidecar itself
	}
	want := side.ObjectTags()
	if maps.Equal(have, want) {
		return
	}
	var names []string
	for name := range want {
		if v, ok := have[name]; !ok || v != want[name] {
			names = append(names, name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names) // values may be somebody's name
	j.add(TagsDiffer, t.String(), key, Quarantine, "not as agreed: %s", strings.Join(slices.Compact(names), ", "))
}

// sidecars holds the tiers' sidecars against each other.
func (j *judgement) sidecars() {
	key := event.SidecarKey(j.subject.Key)
	for _, t := range tier.All() {
		switch side := j.facts.Sidecar[t]; {
		case j.facts.Foreign[t] != nil:
			j.add(ChecksumDiffers, t.String(), key, Quarantine, "what is at the sidecar's key is none of the recording")
		case side != nil && j.facts.Entry != nil && !j.facts.SameSidecar(side.Sidecar, j.facts.Entry.Sidecar):
			j.add(ChecksumDiffers, t.String(), key, Quarantine, "not the sidecar that was agreed on")
		}
	}
	p, b := j.facts.Sidecar[tier.Primary], j.facts.Sidecar[tier.Backup]
	if j.facts.Entry == nil && p != nil && b != nil && !j.facts.SameSidecar(p.Sidecar, b.Sidecar) {
		j.add(ChecksumDiffers, All, key, Quarantine, "the tiers' sidecars differ: primary's names sha256 %.12s, backup's %.12s", p.SHA256, b.SHA256)
	}
}

// several judges keys with more than one version.
func (j *judgement) several() {
	for _, v := range j.subject.Several {
		switch {
		case v.Versions < 2 || !v.Visible && j.facts.Object[v.Tier] == nil:
			// deleted: it is missing, or was nobody's
		case v.Alike:
			j.add(Restored, v.Tier.String(), v.Key, Report, "%d versions, all the same: deleted and created again", v.Versions)
		default:
			j.add(Versions, v.Tier.String(), v.Key, Quarantine, "%d versions that differ", v.Versions)
		}
	}
}
