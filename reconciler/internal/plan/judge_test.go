package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
)

const (
	id      = "rec-1"
	mediaAt = "recordings/rec-1.wav"
	sideAt  = "metadata/rec-1.json"
)

var (
	now     = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	content = []byte("RIFF of rec-1")
)

// world is what is true of rec-1 before a case changes it: in step.
type world struct {
	subject Subject
	facts   Facts
	rules   Rules
}

func sound() *world {
	e := event.New(event.Data{
		RecordingID: id, Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}, Tags: map[string]string{"queue": "billing"},
	}, "e1", now.Add(-2*time.Hour))
	entry, err := event.NewEntry(e, digest.Of(content))
	if err != nil {
		panic(err) // the event is a constant
	}
	w := &world{
		subject: Subject{Key: id, Objects: []string{mediaAt}, Entry: &inventory.Entry{
			IdempotencyKey: id, ObjectKey: mediaAt, First: now.Add(-2 * time.Hour), Newest: now.Add(-2 * time.Hour), Sequence: 7,
		}},
		facts: Facts{
			Evidence: &evidence.Evidence{Sidecar: map[tier.Tier]*digest.Entry{}, Foreign: map[tier.Tier]error{}, Object: map[tier.Tier]*objstore.Info{}},
			Tags:     map[tier.Tier]map[string]string{}, Read: map[tier.Tier]digest.Digest{}, Letters: map[tier.Tier]bool{},
		},
		rules: Rules{Now: now, Grace: 15 * time.Minute, Retention: 2555 * 24 * time.Hour, Unwell: map[tier.Tier]bool{}},
	}
	for _, t := range tier.All() {
		one := entry
		w.facts.Sidecar[t] = &one
		w.facts.Object[t] = &objstore.Info{Key: mediaAt, Size: int64(len(content)), CRC64: digest.CRC64(content), HasCRC64: true}
		w.facts.Tags[t] = map[string]string{"recording-id": id, "source": "default", "queue": "billing"}
	}
	return w
}

// lose takes everything of a tier.
func (w *world) lose(list ...tier.Tier) {
	for _, t := range list {
		w.facts.Object[t], w.facts.Sidecar[t] = nil, nil
	}
}

// agree makes the digest entry what the sidecars say.
func (w *world) agree() {
	w.facts.Entry = &evidence.Entry{Entry: *w.facts.Sidecar[tier.Backup], Revision: 3}
}

const (
	p = tier.Primary
	b = tier.Backup
)

func TestEachThingThatIsWrongIsSaidOnceWithWhatIsDoneAboutIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   string // "kind tier key action", …
	}{
		"nothing is wrong":              {func(*world) {}, ""},
		"missing in primary":            {func(w *world) { w.lose(p) }, "missing_primary primary " + mediaAt + " copy>primary"},
		"missing in backup":             {func(w *world) { w.lose(b) }, "missing_backup backup " + mediaAt + " copy>backup"},
		"missing in both, by its event": {func(w *world) { w.lose(p, b) }, "missing_both all " + mediaAt + " fetch>primary>backup"},
		"missing, the media alone":      {func(w *world) { w.facts.Object[p] = nil }, "missing_primary primary " + mediaAt + " copy>primary"},
		"missing in both, no event":     {func(w *world) { w.lose(p, b); w.subject.Entry.Sequence = 0 }, "missing_both all " + mediaAt + " quarantine"},
		"missing in both, a sidecar":    {func(w *world) { w.facts.Object[p], w.facts.Object[b], w.subject.Entry.Sequence = nil, nil, 0 }, "missing_both all " + mediaAt + " quarantine"},
		"missing in both, and a resolver": {func(w *world) {
			w.facts.Object[p], w.facts.Object[b], w.subject.Entry.Sequence, w.rules.Resolver = nil, nil, 0, true
		}, "missing_both all " + mediaAt + " fetch>primary>backup"},
		"younger than grace":                    {func(w *world) { w.lose(p); w.subject.Entry.Newest = now.Add(-14 * time.Minute) }, ""},
		"older than grace by its first":         {func(w *world) { w.lose(p); w.subject.Entry.First = now.Add(-14 * time.Minute) }, "missing_primary primary " + mediaAt + " copy>primary"},
		"still in its tier's hands":             {func(w *world) { w.lose(p); w.subject.Entry.In(p).Open = true }, ""},
		"in the other tier's hands":             {func(w *world) { w.lose(p); w.subject.Entry.In(b).Open = true }, "missing_primary primary " + mediaAt + " copy>primary"},
		"while its tier is not well":            {func(w *world) { w.lose(p); w.rules.Unwell[p] = true }, ""},
		"both missing, one tier unwell":         {func(w *world) { w.lose(p, b); w.rules.Unwell[p] = true }, "missing_backup backup " + mediaAt + " fetch>backup"},
		"sent again already":                    {func(w *world) { w.lose(p); w.subject.Entry.In(p).Redrive = 9 }, "missing_primary primary " + mediaAt + " await"},
		"both, one sent again already":          {func(w *world) { w.lose(p, b); w.subject.Entry.In(p).Redrive = 9 }, "missing_both all " + mediaAt + " fetch>backup"},
		"a letter, and a copy elsewhere":        {func(w *world) { w.lose(p); w.facts.Letters[p] = true }, "missing_primary primary " + mediaAt + " copy>primary"},
		"a letter, and no copy":                 {func(w *world) { w.lose(p, b); w.facts.Letters[p], w.facts.Letters[b] = true, true }, "missing_both all " + mediaAt + " letter"},
		"one tier's letter, and no copy":        {func(w *world) { w.lose(p, b); w.facts.Letters[p] = true }, "missing_both all " + mediaAt + " fetch>backup"},
		"the sibling's copy is not proven":      {func(w *world) { w.lose(p); w.facts.Object[b].HasCRC64 = false }, "missing_primary primary " + mediaAt + " fetch>primary"},
		"past retention":                        {func(w *world) { w.lose(p); w.subject.Entry.First = now.AddDate(-8, 0, 0) }, "expired primary " + mediaAt + " report"},
		"past retention, gone from backup":      {func(w *world) { w.lose(b); w.subject.Entry.First = now.AddDate(-8, 0, 0) }, "missing_backup backup " + mediaAt + " copy>backup"},
		"past retention, gone from both":        {func(w *world) { w.lose(p, b); w.subject.Entry.First = now.AddDate(-8, 0, 0) }, "expired primary " + mediaAt + " report"},
		"another size":                          {func(w *world) { w.facts.Object[p].Size++ }, "size_differs primary " + mediaAt + " quarantine"},
		"other bytes":                           {func(w *world) { w.facts.Object[b].CRC64++ }, "checksum_differs backup " + mediaAt + " quarantine"},
		"other bytes, though young":             {func(w *world) { w.facts.Object[b].CRC64++; w.subject.Entry.Newest = now }, "checksum_differs backup " + mediaAt + " quarantine"},
		"no checksum, and read as agreed":       {func(w *world) { w.facts.Object[b].HasCRC64 = false; w.facts.Read[b] = digest.Of(content) }, ""},
		"no checksum, and read otherwise":       {func(w *world) { w.facts.Object[b].HasCRC64 = false; w.facts.Read[b] = digest.Of([]byte("x")) }, "checksum_differs backup " + mediaAt + " quarantine"},
		"the sidecar missing":                   {func(w *world) { w.facts.Sidecar[p] = nil }, "metadata_missing primary " + sideAt + " explain>primary"},
		"the sidecar missing, young":            {func(w *world) { w.facts.Sidecar[p] = nil; w.subject.Entry.Newest = now }, ""},
		"no sidecar anywhere":                   {func(w *world) { w.facts.Sidecar[p], w.facts.Sidecar[b] = nil, nil }, "metadata_missing primary " + mediaAt + " explain>primary, metadata_missing backup " + mediaAt + " explain>backup"},
		"no sidecar anywhere, no event":         {func(w *world) { w.facts.Sidecar[p], w.facts.Sidecar[b], w.subject.Entry.Sequence = nil, nil, 0 }, "metadata_missing primary " + mediaAt + " quarantine, metadata_missing backup " + mediaAt + " quarantine"},
		"a sidecar that is none":                {func(w *world) { w.facts.Sidecar[b] = nil; w.facts.Foreign[b] = errors.New("no sidecar") }, "checksum_differs backup " + sideAt + " quarantine"},
		"the sidecars differ":                   {func(w *world) { w.facts.Sidecar[b].Sidecar = []byte(`{}`) }, "checksum_differs all " + sideAt + " quarantine"},
		"a sidecar is not the agreed one":       {func(w *world) { w.agree(); w.facts.Sidecar[p].Sidecar = []byte(`{}`) }, "checksum_differs primary " + sideAt + " quarantine"},
		"another tag":                           {func(w *world) { w.facts.Tags[p]["queue"] = "sales" }, "tags_differ primary " + mediaAt + " quarantine"},
		"a tag more":                            {func(w *world) { w.facts.Tags[b]["x"] = "y" }, "tags_differ backup " + mediaAt + " quarantine"},
		"a tag less":                            {func(w *world) { delete(w.facts.Tags[b], "source") }, "tags_differ backup " + mediaAt + " quarantine"},
		"versions that differ":                  {func(w *world) { w.several(Several{Place{p, mediaAt}, 2, false, true}) }, "versions primary " + mediaAt + " quarantine"},
		"versions that are the same":            {func(w *world) { w.several(Several{Place{p, mediaAt}, 2, true, true}) }, "restored primary " + mediaAt + " report"},
		"deleted, and not by its versions":      {func(w *world) { w.lose(p); w.several(Several{Place{p, mediaAt}, 2, true, false}) }, "missing_primary primary " + mediaAt + " copy>primary"},
		"another than was sealed":               {func(w *world) { w.seal("x") }, "checksum_differs all " + mediaAt + " quarantine"},
		"another than was sealed, one tier":     {func(w *world) { w.seal("x"); w.lose(p) }, "missing_primary primary " + mediaAt + " quarantine, checksum_differs all " + mediaAt + " quarantine"},
		"as it was sealed":                      {func(w *world) { w.seal(string(content)) }, ""},
		"sealed of another key":                 {func(w *world) { w.seal("x"); w.subject.Entry.ObjectKey = "recordings/rec-1.mp3" }, "two_keys all " + mediaAt + " quarantine"},
		"sealed in two ways":                    {func(w *world) { w.seal(string(content)); w.subject.Entry.Sealed.Torn = true }, "checksum_differs all " + mediaAt + " quarantine"},
		"sealed, and nobody else knows":         {func(w *world) { w.seal("x"); w.facts.Sidecar[p], w.facts.Sidecar[b] = nil, nil }, "checksum_differs primary " + mediaAt + " quarantine, checksum_differs backup " + mediaAt + " quarantine"},
		"given up in both":                      {func(w *world) { w.lose(p, b); w.giveUp(p, b) }, "missing_both all " + mediaAt + " quarantined"},
		"given up in one":                       {func(w *world) { w.lose(p, b); w.giveUp(p) }, "missing_both all " + mediaAt + " fetch>backup"},
		"given up, and a copy elsewhere":        {func(w *world) { w.lose(p); w.giveUp(p) }, "missing_primary primary " + mediaAt + " copy>primary"},
		"given up, and nobody explains it":      {func(w *world) { w.facts.Sidecar[p], w.facts.Sidecar[b] = nil, nil; w.giveUp(p, b) }, "metadata_missing primary " + mediaAt + " quarantined, metadata_missing backup " + mediaAt + " quarantined"},
		"given up, and the sibling explains it": {func(w *world) { w.facts.Sidecar[p] = nil; w.giveUp(p) }, "metadata_missing primary " + sideAt + " explain>primary"},
		"a second key":                          {func(w *world) { w.subject.Others = []Place{{b, "recordings/rec-1.mp3"}} }, "two_keys backup recordings/rec-1.mp3 quarantine"},
		"nobody accepted it":                    {func(w *world) { w.subject.Entry = nil; w.subject.Others = []Place{{p, mediaAt}, {b, sideAt}} }, "unknown_object primary " + mediaAt + " quarantine, unknown_object backup " + sideAt + " quarantine"},
		"nobody accepted it, a second key":      {func(w *world) { w.subject.Entry = nil; w.subject.Others = []Place{{p, "recordings/rec-1.mp3"}} }, "two_keys primary recordings/rec-1.mp3 quarantine"},
		"nobody knows it":                       {func(w *world) { w.lose(p, b); w.subject.Entry = nil; w.subject.Others = []Place{{p, mediaAt}} }, "unknown_object primary " + mediaAt + " quarantine"},
		"forgotten, and gone":                   {func(w *world) { w.lose(p, b); w.facts.Forgotten = true }, ""},
		"forgotten, and still there":            {func(w *world) { w.lose(p); w.facts.Forgotten = true }, "erased backup " + mediaAt + " report, erased backup " + sideAt + " report"},
		"forgotten, and below a deletion": {func(w *world) {
			w.lose(p, b)
			w.facts.Forgotten = true
			w.several(Several{Place{p, mediaAt}, 1, true, false})
		}, "erased primary " + mediaAt + " report"},
		"forgotten before anybody knew it":  {func(w *world) { w.lose(p, b); w.facts.Forgotten = true; w.subject.Entry = nil }, ""},
		"missing and otherwise wrong, both": {func(w *world) { w.lose(p); w.facts.Object[b].Size++ }, "missing_primary primary " + mediaAt + " fetch>primary, size_differs backup " + mediaAt + " quarantine"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			c.change(w)
			if got := said(judge(w.subject, w.facts, w.rules)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// seal has the sealed log say what the bytes are.
func (w *world) seal(body string) { w.subject.Entry.Sealed.Digest = digest.Of([]byte(body)) }

// giveUp has somebody discard these tiers' letters.
func (w *world) giveUp(list ...tier.Tier) {
	w.facts.GivenUp = map[tier.Tier]string{}
	for _, t := range list {
		w.facts.GivenUp[t] = "ada discarded its dead letter on 2026-11-20: a test call"
	}
}

func TestWhatIsFetchedAnewMustBeWhatWasSealed(t *testing.T) {
	w := sound()
	w.lose(p, b)
	w.seal("x")
	got := judge(w.subject, w.facts, w.rules)
	if len(got) != 1 || len(got[0].Sends()) != 2 || got[0].Sends()[1].Expect == nil || *got[0].Sends()[1].Expect != digest.Of([]byte("x")) {
		t.Errorf("got %+v", got)
	}
}

func (w *world) several(list ...Several) { w.subject.Several = list }

// said is findings as the table of cases has them.
func said(list []Finding) string {
	var out []string
	for _, f := range list {
		s := fmt.Sprintf("%s %s %s %s", f.Kind, f.Tier, f.ObjectKey, f.Action)
		for _, one := range f.Sends() {
			s += ">" + one.Tier.String()
		}
		if f.IdempotencyKey != id || f.Evidence == "" || f.Action.Sends() != (len(f.Sends()) > 0) {
			s += fmt.Sprintf(" (%+v)", f)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestTheEvidenceOfOtherTagsHoldsNoValue(t *testing.T) {
	w := sound()
	w.facts.Tags[p]["queue"] = "Ada Lovelace"
	got := judge(w.subject, w.facts, w.rules)
	if len(got) != 1 || strings.Contains(got[0].Evidence, "Lovelace") || !strings.Contains(got[0].Evidence, "queue") {
		t.Errorf("got %+v", got)
	}
}

func TestAPlansIDIsThatOfWhatItSendsInWhateverOrder(t *testing.T) {
	a := Finding{Kind: MissingPrimary, Tier: "primary", IdempotencyKey: "a", ObjectKey: "recordings/a.wav", Action: Copy}
	other := Finding{Kind: MissingBackup, Tier: "backup", IdempotencyKey: "b", ObjectKey: "recordings/b.wav", Action: Fetch}
	noted := Finding{Kind: Versions, Tier: "primary", IdempotencyKey: "c", Action: Quarantine}
	of := func(list ...Finding) string {
		var x ID
		for _, f := range list {
			x.Add(f)
		}
		return x.String()
	}
	if of(a, other) != of(other, a, noted) {
		t.Error("the order, or what is only noted, changes the ID")
	}
	changed := a
	changed.Action = Fetch
	all := []string{of(), of(a), of(other), of(a, other), of(a, a), of(changed)}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6 {
		t.Errorf("plans that do other things have the same ID: %v", all)
	}
}

func TestOwner(t *testing.T) {
	for key, want := range map[string]string{
		mediaAt: id, sideAt: id, "recordings/emea/rec-1.mp3": "emea/rec-1", "metadata/emea/rec-1.json": "emea/rec-1", "recordings/a.b.wav": "a.b",
		"recordings/rec-1.exe": "", "recordings/rec-1": "", "metadata/rec-1.wav": "", "recordings/a/b/c.wav": "", "elsewhere/rec-1.wav": "",
		"recordings/.wav": "", "recordings/default/rec-1.wav": "", "recordings/EMEA/rec-1.wav": "", "recordings/rec..1.wav": "", "": "", "recordings/": "",
	} {
		if got := Owner(key); got != want {
			t.Errorf("%q belongs to %q, want %q", key, got, want)
		}
	}
}
