package bench

import (
	"context"
	"fmt"
	"strings"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// againstFloor are the sides of most rows.
func againstFloor() [2]string { return [2]string{"floor", "product"} }

// Rows are all that is measured.
func Rows() []Row {
	var rows []Row
	for _, r := range []struct {
		name          string
		size          int64
		stores, sinks int     // recordings in a turn
		want, forget  float64 // ratios to reach
	}{
		{"16KiB", 16 * kib, 1200, 4000, 0, 0},
		{"1MiB", mib, 500, 2500, 0.90, 0.80},
		{"20MiB", 20 * mib, 30, 200, 0.95, 0.90},
		{"600MiB", 600 * mib, 3, 8, 0.95, 0.90},
	} {
		stores := load{r.size, r.stores}
		l := stores
		rows = append(rows, Row{
			Name: "copy-" + r.name + "-stores", What: "recordings of " + r.name + " into versitygw and Azurite, both tiers at once",
			Sides: againstFloor(), Bars: bars(r.size, r.want), play: copies(l),
			peer: func(ctx context.Context, b *bed) (Side, error) { return peerCopies(ctx, b, stores) },
		})
		l.n = r.sinks
		rows = append(rows, Row{
			Name: "copy-" + r.name + "-sinks", What: "the same into sinks that forget: what the worker itself costs",
			Sides: againstFloor(), Bars: bars(r.size, r.forget), needs: needs{sinks: true}, play: copies(l),
		})
	}
	rows = append(append(rows, webhookRows()...), streamsRows()...)
	return append(rows, farRows()...)
}

// farRows compare what is far away with one plain stream, one worker with several, and much waiting with little.
func farRows() []Row {
	return []Row{
		{
			Name: "copy-2GiB-far", What: "one recording of 2 GiB, source and sinks 50 ms away each way, a TCP window of 4 MiB for each connection",
			Sides: [2]string{"plain stream", "product"}, needs: needs{sinks: true, far: across(farWindow)}, play: copies(load{2 * gib, 1}),
			Bars: []Bar{{Figure: "ratio", AtLeast: 4}, {Figure: "peak MiB", AtMost: 200}},
		},
		scaleRow(2, "two", 1.8),
		scaleRow(4, "four", 3.5),
		{
			Name: "copy-5GiB-memory", What: "recordings of 5 GiB, two at once, into sinks: whether memory grows with size (first: 600 MiB)",
			Sides: [2]string{"600 MiB", "5 GiB"}, needs: needs{sinks: true}, play: memory,
			Bars: []Bar{{Figure: "peak MiB", AtMost: 200}, {Figure: "more MiB", AtMost: 16}}, Long: true,
		},
		{
			Name: "backlog-1M", What: "recordings of 16 KiB into sinks, with a million events waiting against a thousand",
			Sides: [2]string{"1 thousand", "1 million"}, needs: needs{sinks: true}, prepare: fill, play: backlog,
			Bars: []Bar{{Figure: "ratio", AtLeast: 0.95}, {Figure: "more MiB", AtMost: 16}}, Long: true,
		},
	}
}

// scaleRow compares so many workers with one, far away, so that it is not this machine's processors that decide.
func scaleRow(n int, word string, want float64) Row {
	return Row{
		Name: fmt.Sprintf("scale-%d-far", n), What: "recordings of 64 KiB, source and sinks 50 ms away each way: " + word + " workers a tier against one",
		Sides: [2]string{"one worker", word + " workers"}, needs: needs{sinks: true, far: &distance{Millis: farMillis}}, play: scale(n),
		Bars: []Bar{{Figure: "ratio", AtLeast: want}},
	}
}

// bars are those of a row that copies.
func bars(size int64, ratio float64) (all []Bar) {
	all = append(all, Bar{Figure: "peak MiB", AtMost: 200})
	if ratio > 0 {
		all = append(all, Bar{Figure: "ratio", AtLeast: ratio})
	}
	if size >= 20*mib {
		all = append(all, Bar{Figure: "cpu ratio", AtMost: 1.15})
	}
	return all
}

// Choose returns the rows whose names begin with one of the words; of none, all but the long ones.
func Choose(words []string) ([]Row, error) {
	var chosen []Row
	used := map[string]bool{}
	for _, row := range Rows() {
		wanted := len(words) == 0 && !row.Long
		for _, word := range words {
			if strings.HasPrefix(row.Name, word) {
				wanted, used[word] = true, true
			}
		}
		if wanted {
			chosen = append(chosen, row)
		}
	}
	for _, word := range words {
		if !used[word] {
			return nil, fmt.Errorf("no row begins with %q; see --list", word)
		}
	}
	return chosen, nil
}
