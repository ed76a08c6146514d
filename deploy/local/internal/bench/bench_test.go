package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/bench"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// TestMain lets this binary be the benchmark's own processes, as the program local is outside of tests.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "bench-part" {
		if err := bench.Part(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestRowsOfEveryKindPlay plays some rows once with few recordings, so that the benchmark cannot rot. Their speed means
// nothing; what they counted does.
func TestRowsOfEveryKindPlay(t *testing.T) {
	bin := testenv.Need(t, testenv.Bin)
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Tools{Root: root, Say: io.Discard}.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := bench.Choose([]string{"copy-20MiB-sinks", "copy-16KiB-stores", "webhooks-64", "streams"})
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]bench.Result{}
	c := bench.Config{Self: self, Bin: bin, Set: set, Rounds: 1, Scale: 0.01, Say: io.Discard}
	if err := bench.Run(t.Context(), c, rows, func(r bench.Result) { results[r.Row] = r }); err != nil {
		t.Fatal(err)
	}
	// Redis: a script is asked for by its hash, and sent with its text where that is not known yet.
	for row, want := range map[string]map[string][2]float64{ // figure: least and most
		// One streamed request and a sidecar; three blocks, their list and a sidecar; in one tier a look for an older sidecar. On a
		// busy machine a probe write of several requests falls into the two recordings: it is no put of an object.
		"copy-20MiB-sinks":  {"source": {2, 2}, "s3 put": {2, 2}, "s3": {2, 6}, "azure block": {3, 5}, "azure": {5, 9}, "redis": {6, 12}, "cpu ratio": {0.1, 50}},
		"copy-16KiB-stores": {"source": {2, 2}, "redis": {6, 12}, "nats": {8, 40}, "peak MiB": {5, 200}},
		"webhooks-64":       {"p99 ratio": {0.01, 100}, "ratio": {0.01, 10}},
		"streams-4":         {"ratio": {0.01, 100}},
	} {
		for figure, bounds := range want {
			if got := results[row].Figures[figure]; got < bounds[0] || got > bounds[1] || math.IsNaN(got) {
				t.Errorf("%s: %s is %v, want %v to %v", row, figure, got, bounds[0], bounds[1])
			}
		}
	}
}

func TestRowsAreChosenByTheBeginningsOfTheirNames(t *testing.T) {
	all, err := bench.Choose(nil)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	for _, row := range all {
		if row.Long || row.What == "" || row.Sides[0] == row.Sides[1] {
			t.Errorf("row %s: long %v, %q, sides %v", row.Name, row.Long, row.What, row.Sides)
		}
	}
	some, err := bench.Choose([]string{"copy-1MiB", "backlog"})
	if err != nil || len(some) != 3 {
		t.Errorf("chose %d rows, want 3: %v", len(some), err)
	}
	if _, err := bench.Choose([]string{"copy-1MiB", "no-such"}); err == nil || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("a row that is not there: %v", err)
	}
}

func TestAReportIsReadAgainAndCompared(t *testing.T) {
	r := bench.NewReport()
	r.Results = []bench.Result{{
		Row: "copy", What: "x", Sides: [2]string{"floor", "product"}, Pairs: [][2]bench.Side{{{Seconds: 1, Done: 10}, {Seconds: 2, Done: 10}}},
		Figures: map[string]float64{"ratio": 0.5}, Verdicts: []bench.Verdict{{Bar: bench.Bar{Figure: "ratio", AtLeast: 0.9}, Got: 0.5}},
	}}
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := r.Save(file); err != nil {
		t.Fatal(err)
	}
	old, err := bench.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Write(&out, old)
	for _, want := range []string{"SHORT ratio 0.5, want at least 0.9", "before", "product", "floor"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if _, err := bench.Load(file + ".none"); err == nil {
		t.Error("a file that is not there was read")
	}
}
