package queue

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestAStreamThatIsInUseIsNotTakenBack(t *testing.T) {
	_, js := testenv.Account(t, "test05")
	for _, name := range []string{"USED", "EMPTY"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "USED", []byte("acknowledged")); err != nil {
		t.Fatal(err)
	}
	p := provisioning{js: js}
	if err := p.removeEmpty("USED")(t.Context()); err == nil {
		t.Error("nobody is told that it stays")
	}
	if s, err := js.Stream(t.Context(), "USED"); err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("what was acknowledged is gone: %v", err)
	}
	if err := p.removeEmpty("EMPTY")(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := js.Stream(t.Context(), "EMPTY"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the empty one is still there: %v", err)
	}
}
