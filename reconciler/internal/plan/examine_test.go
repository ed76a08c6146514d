package plan

import (
	"bytes"
	"context"
	"errors"
	"io"
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
