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
	rows = append(append(rows, webhookRows()...), streamsRow())
	return append(rows, farRows()...)
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
