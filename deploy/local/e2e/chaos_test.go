package e2e

import (
	"io"
	"os"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/chaos"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// breaks is how the matrix is played here.
func breaks(t *testing.T) chaos.Config {
	t.Helper()
	tools, err := kit()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return chaos.Config{Bin: testenv.Need(t, testenv.Bin), Set: set, Root: tools.Root, Rounds: 1, Parallel: 4, Say: os.Stderr}
}

// cuts is how often the power is cut in the short form.
const cuts = 3

// given one thing after the other that breaks, when it is mended, then an outside reader finds what the matrix says: these
// are the rows of its short form; `make chaos` plays all.
func TestChaos(t *testing.T) {
	t.Parallel()
	rows, err := chaos.Choose(nil, true, cuts)
	if err != nil {
		t.Fatal(err)
	}
	err = chaos.Run(t.Context(), breaks(t), rows, func(r chaos.Result) {
		chaos.Tell(t.Output(), r)
		for _, w := range r.Wrong {
			t.Errorf("%s: %s", r.Name, w)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The isolation table is measured by `make chaos`: no test asserts a time. But it must not rot.
func TestIsolationIsMeasured(t *testing.T) {
	t.Parallel()
	c := breaks(t)
	c.Say = io.Discard
	lines, err := c.Isolation(t.Context(), 1, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 8 {
		t.Errorf("%d lines, want four conditions for either tier", len(lines))
	}
	for _, l := range lines {
		if l.Rate <= 0 || l.Webhooks <= 0 || l.P99 <= 0 || l.HookP99 <= 0 {
			t.Errorf("a figure is missing: %+v", l)
		}
	}
}
