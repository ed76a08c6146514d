package plan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/readback"
)

// breaking is a store without checksums whose first answer breaks off in the middle.
type breaking struct {
	objstore.Reader
	offsets []int64
}

func (b *breaking) Tags(context.Context, string) (map[string]string, error) {
	return map[string]string{}, nil
}

func (b *breaking) Open(_ context.Context, _ string, off, _ int64) (io.ReadCloser, error) {
	b.offsets = append(b.offsets, off)
	if len(b.offsets) == 1 {
		broke := fault.New(fault.Transient, fault.Store, "read", errors.New("the connection broke"))
		return io.NopCloser(io.MultiReader(bytes.NewReader(content[:3]), iotest.ErrReader(broke))), nil
	}
	return io.NopCloser(bytes.NewReader(content[off:])), nil
}

func TestACopyThatIsReadBackIsTakenUpWhereItBroke(t *testing.T) {
	w, store := sound(), &breaking{}
	w.facts.Object[tier.Backup].HasCRC64 = false
	x := &Examiner{
		Source: evidence.Source{Stores: map[tier.Tier]objstore.Reader{tier.Backup: store}},
		Reader: &readback.Reader{Stall: time.Minute, Resume: queue.Schedule{Base: time.Microsecond, Cap: time.Microsecond}},
	}
	if err := x.closer(t.Context(), tier.Backup, &w.facts); err != nil {
		t.Fatal(err)
	}
	if got := w.facts.Read[tier.Backup]; got != digest.Of(content) || len(store.offsets) != 2 || store.offsets[1] != 3 {
		t.Errorf("read %v, asked from %v", got, store.offsets)
	}
}

// Copies without a checksum are many where somebody else put them there: a run does not read for days.
func TestWhatIsLeftToReadBeyondTheBudgetIsCounted(t *testing.T) {
	w, store := sound(), &breaking{}
	w.facts.Object[tier.Backup].HasCRC64 = false
	x := &Examiner{Source: evidence.Source{Stores: map[tier.Tier]objstore.Reader{tier.Backup: store}}, Reader: readback.New()}
	x.read.Store(mostRead)
	if err := x.closer(t.Context(), tier.Backup, &w.facts); err != nil {
		t.Fatal(err)
	}
	w.facts.Tags = nil
	if got := said(judge(w.subject, w.facts, w.rules)); got != "" || len(store.offsets) != 0 || x.unread.Load() != 1 {
		t.Errorf("found %q, read %d times, %d unread", got, len(store.offsets), x.unread.Load())
	}
	x.read.Store(0)
	if x.reserve(mostRead+1) || !x.reserve(mostRead-1) || x.reserve(2) || !x.reserve(1) {
		t.Error("what does not fit must leave the room to what does")
	}
}

// versioned is a store with versions of one key, and of another that begins like it.
type versioned struct {
	objstore.Reader
	infos []objstore.Info
	asked int
}

func (v *versioned) List(_ context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		for _, i := range append(slices.Clone(v.infos), objstore.Info{Key: prefix + ".old", Size: 1}) {
			i.HasCRC64 = false
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (v *versioned) StatVersion(_ context.Context, _, version string) (objstore.Info, error) {
	v.asked++
	i := slices.IndexFunc(v.infos, func(i objstore.Info) bool { return i.VersionID == version })
	if i < 0 {
		return objstore.Info{}, objstore.NotExist("stat")
	}
	return v.infos[i], nil
}

// An object that was deleted and created again has another ETag in Azure, and in S3 where it was uploaded in other parts.
func TestVersionsOfTheSameBytesAreTheSameWhateverTheirETags(t *testing.T) {
	of := func(id string, body string, has bool) objstore.Info {
		d := digest.Of([]byte(body))
		return objstore.Info{Key: mediaAt, VersionID: id, ETag: id, Size: d.Size, CRC64: d.CRC64, HasCRC64: has}
	}
	many := slices.Repeat([]objstore.Info{of("v", "a", true)}, mostVersions+1)
	for name, c := range map[string]struct {
		infos []objstore.Info
		want  bool
	}{
		"the same":                {[]objstore.Info{of("2", "a", true), of("1", "a", true)}, true},
		"others of the same size": {[]objstore.Info{of("2", "a", true), of("1", "b", true)}, false},
		"another size":            {[]objstore.Info{of("2", "a", true), of("1", "ab", true)}, false},
		"one without a checksum":  {[]objstore.Info{of("2", "a", true), of("1", "a", false)}, false},
		"none with a checksum":    {[]objstore.Info{of("2", "a", false), of("1", "a", false)}, false},
		"gone meanwhile":          {nil, false},
		"very many":               {many, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := &versioned{infos: c.infos}
			x := &Examiner{Source: evidence.Source{Stores: map[tier.Tier]objstore.Reader{p: store}}}
			several := []Several{{Place{p, mediaAt}, max(2, len(c.infos)), false, true}, {Place{p, sideAt}, 2, true, true}}
			if err := x.alike(t.Context(), several); err != nil || several[0].Alike != c.want || !several[1].Alike || store.asked > len(c.infos) {
				t.Errorf("%+v, %v, asked %d times", several, err, store.asked)
			}
		})
	}
}
