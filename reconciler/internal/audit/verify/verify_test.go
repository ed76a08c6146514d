package verify_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/reconciler/internal/audit/audittest"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/audit/verify"
)

// begun is when the tests' streams are made.
var begun = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// small seals a log with incomplete and complete tiles on two levels, and segments of the index.
func small(t *testing.T, keys checkpoint.Keys) *memstore.Store {
	t.Helper()
	s := memstore.New("b")
	l := audittest.New(t, s, keys, begun)
	for _, n := range []int{3, 0, 40, 212, 300, 511, 5} {
		l.Stored(n)
		l.Mark("")
	}
	return s
}

func run(t *testing.T, s *memstore.Store, keys checkpoint.Keys, trusted ...checkpoint.Checkpoint) verify.Report {
	t.Helper()
	v := verify.Verifier{Name: "primary", Reader: s, Keys: keys, Trusted: trusted}
	r, err := v.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(fs []verify.Finding) string {
	var out strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&out, "%s %s: %s\n", f.Problem, f.Object, f.Detail)
	}
	return out.String()
}

// only wants one finding, of these.
func only(t *testing.T, r verify.Report, p verify.Problem, object string) verify.Finding {
	t.Helper()
	if len(r.Findings) != 1 || r.Findings[0].Problem != p || r.Findings[0].Object != object {
		t.Fatalf("want %s %s, got\n%s", p, object, text(r.Findings))
	}
	return r.Findings[0]
}

func keysOf(t *testing.T, s *memstore.Store) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return out
}

func TestAWholeLogHasNoFindings(t *testing.T) {
	keys, _ := audittest.Keys(t)
	s := small(t, keys)
	r := run(t, s, keys)
	if len(r.Findings) > 0 || len(r.Epochs) != 1 || r.Epochs[0].Size != 1078 || r.Epochs[0].Checkpoints != 7 || r.Objects != s.Keys() {
		t.Errorf("got %+v", r)
	}
}

// Whatever byte of whatever object is changed, that object is named, and nothing else.
func TestAnyChangedByteIsFoundAndItsObjectNamed(t *testing.T) {
	keys, _ := audittest.Keys(t)
	s := small(t, keys)
	for _, key := range keysOf(t, s) {
		o, _ := s.Object(key)
		places := []int{0, len(o.Body) / 2, len(o.Body) - 1}
		if strings.HasSuffix(key, "/checkpoint/00000000000000000002") {
			places = nil
			for i := range o.Body {
				places = append(places, i)
			}
		}
		for _, at := range places {
			for _, bit := range []byte{1 << (at % 8)} {
				changed := o
				changed.Body = bytes.Clone(o.Body)
				changed.Body[at] ^= bit
				s.Plant(key, changed)
				r := run(t, s, keys)
				if len(r.Findings) != 1 || r.Findings[0].Object != key {
					t.Errorf("byte %d of %s by 0x%02x:\n%s", at, key, bit, text(r.Findings))
				}
			}
		}
		s.Plant(key, o)
	}
	if r := run(t, s, keys); len(r.Findings) > 0 {
		t.Errorf("put back, it is not whole: %s", text(r.Findings))
	}
}

func TestAnObjectThatIsRemovedCutOrAddedIsNamed(t *testing.T) {
	keys, _ := audittest.Keys(t)
	s := small(t, keys)
	all := keysOf(t, s)
	for i, key := range all {
		o, _ := s.Object(key)
		cut := o
		cut.Body = o.Body[:len(o.Body)-1]
		s.Plant(key, cut)
		if r := run(t, s, keys); len(r.Findings) != 1 || r.Findings[0].Object != key {
			t.Errorf("%s cut: %s", key, text(r.Findings))
		}
		s.Lose(key)
		r := run(t, s, keys)
		if strings.HasSuffix(key, "checkpoint/00000000000000000007") {
			if len(r.Findings) > 0 || r.Epochs[0].Size != 1072 || r.Epochs[0].Ahead == 0 {
				t.Errorf("rolled back by one: %+v", r)
			}
		} else if len(r.Findings) != 1 || r.Findings[0].Object != key {
			t.Errorf("%d of %d, %s removed: %s", i, len(all), key, text(r.Findings))
		}
		s.Plant(key, o)
	}
	for _, key := range []string{"audit/notes.txt", epoch.Of(begun).Key("tile/8/0/000.p/17"), epoch.Of(begun).Key("tile/8/0/x001")} {
		s.Plant(key, memstore.Object{Body: []byte("x")})
		only(t, run(t, s, keys), verify.Unexpected, key)
		s.Lose(key)
	}
}

func TestALogThatIsRolledBackOrRewrittenContradictsATrustedCheckpoint(t *testing.T) {
	keys, _ := audittest.Keys(t)
	s := small(t, keys)
	trusted, err := keys.Open(run(t, s, keys).Newest())
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, s, keys, trusted); len(r.Findings) > 0 {
		t.Errorf("nothing is wrong: %s", text(r.Findings))
	}
	short := memstore.New("b")
	l := audittest.New(t, short, keys, begun)
	l.Stored(3)
	l.Mark("")
	only(t, run(t, short, keys, trusted), verify.RolledBack, checkpoint.Key(trusted.Epoch, 7))
	only(t, run(t, memstore.New("b"), keys, trusted), verify.RolledBack, trusted.Epoch.Prefix())
	other := memstore.New("b")
	l = audittest.New(t, other, keys, begun)
	l.Stored(1077)
	l.Mark("")
	r := run(t, other, keys, trusted)
	only(t, r, verify.Rewritten, checkpoint.Key(trusted.Epoch, 7))
	// And without a trusted one, the other store's log says so.
	whole := run(t, s, keys)
	if got := verify.Compare(whole, r, time.Now()); !slices.ContainsFunc(got, func(f verify.Finding) bool { return f.Problem == verify.Diverged }) {
		t.Errorf("got %s", text(got))
	}
}

func TestALogSignedByAnotherKeyIsNotBelieved(t *testing.T) {
	keys, _ := audittest.Keys(t)
	others, _ := audittest.Keys(t)
	s := small(t, others)
	r := run(t, s, keys)
	for _, f := range r.Findings {
		if f.Problem != verify.Signature && f.Problem != verify.Unexpected {
			t.Errorf("got %+v", f)
		}
	}
	if len(r.Findings) < 7 {
		t.Errorf("got %s", text(r.Findings))
	}
	public, err := checkpoint.ParseKeys(append(keys.Public(), others.Public()...))
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, s, public); len(r.Findings) > 0 {
		t.Errorf("by a verifier key alone: %s", text(r.Findings))
	}
}

func TestTheStoresAreComparedAndOneMayBeBehindForAWhile(t *testing.T) {
	keys, _ := audittest.Keys(t)
	full := run(t, small(t, keys), keys)
	short := memstore.New("b")
	l := audittest.New(t, short, keys, begun)
	for _, n := range []int{3, 0, 40} {
		l.Stored(n)
		l.Mark("")
	}
	part := run(t, short, keys)
	if got := verify.Compare(full, part, begun.Add(time.Minute)); len(got) > 0 {
		t.Errorf("a moment later: %s", text(got))
	}
	for _, got := range [][]verify.Finding{verify.Compare(full, part, begun.Add(24*time.Hour)), verify.Compare(part, full, begun.Add(24*time.Hour))} {
		if len(got) != 1 || got[0].Problem != verify.Behind {
			t.Errorf("a day later: %s", text(got))
		}
	}
}

func TestEpochsThatDoNotFitTogetherAreFound(t *testing.T) {
	keys, _ := audittest.Keys(t)
	next := func(s *memstore.Store, reason string) {
		l := audittest.New(t, s, keys, begun.Add(time.Hour))
		l.Stored(2)
		l.Mark(reason)
	}
	head := func(s *memstore.Store) checkpoint.Head {
		c, err := keys.Open(run(t, s, keys).Newest())
		if err != nil {
			t.Fatal(err)
		}
		return c.Head
	}
	s := small(t, keys)
	next(s, tree.After(head(s)))
	if r := run(t, s, keys); len(r.Findings) > 0 || len(r.Epochs) != 2 {
		t.Errorf("they fit: %+v", r)
	}
	second := epoch.Of(begun.Add(time.Hour))
	s = small(t, keys)
	next(s, "")
	if r := run(t, s, keys); len(r.Findings) != 2 || r.Findings[0].Problem != verify.Unlinked || r.Findings[1].Object != epoch.Of(begun).Prefix() {
		t.Errorf("an old epoch that is not named: %s", text(r.Findings))
	}
	s = small(t, keys)
	beside := audittest.New(t, s, keys, begun.Add(5*time.Minute))
	beside.Stored(2)
	beside.Mark("")
	if r := run(t, s, keys); len(r.Findings) > 0 || len(r.Epochs) != 2 {
		t.Errorf("two regions that are set up at once: %s", text(r.Findings))
	}
	s = small(t, keys)
	wrong := head(s)
	wrong.Root[0] ^= 1
	next(s, tree.After(wrong))
	only(t, run(t, s, keys), verify.Unlinked, checkpoint.Key(second, 1))
	s = memstore.New("b")
	next(s, tree.After(wrong))
	only(t, run(t, s, keys), verify.Missing, epoch.Of(begun).Prefix())
}
