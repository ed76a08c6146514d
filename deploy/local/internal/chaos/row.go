// Package chaos breaks a whole Twinreel on purpose – real programs, real servers, lines and stores that misbehave as they
// are told – and holds what an outside reader then sees against what must be seen. Its rows are the fault matrix; beside
// them it measures that one tier's trouble never slows the other, and cuts the power under the queue.
package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// Row is one thing that goes wrong, and what must be seen of it.
//
// For every row holds: each recording that was answered 200 is in both stores, or in the dead letters for the reason that
// the row names; one version, the platform's bytes, equal in both, with equal sidecars; nothing is left to do; no letter
// that the row does not name; every program ends in good order.
type Row struct {
	Name     string
	Group    string
	Injected string // what is done
	Seen     string // what must be seen beyond what holds for every row
	Short    bool   // is played in the short form, too

	on       place
	settings map[string]string // of all programs, beside the bed's own
	platform platform.Config
	secret   string                                  // of its webhooks; "": one is made
	servers  func(ctx context.Context, b *bed) error // starts more servers than the usual ones, and puts the bed on them
	unproven bool                                    // the row judges by itself, and nothing has to be whole in the end
	manual   bool                                    // the row starts the programs by itself
	play     func(ctx context.Context, b *bed) error
}

// place is where a row is played.
type place int

const (
	beside place = iota // on servers that other rows use at the same time: it does nothing to them
	inTurn              // on servers that are left as they were found: one row after the other
	alone               // on servers of its own, which are not used again
)

// Result is what came of a row.
type Result struct {
	Row
	Round  int
	Saw    []string // what was seen
	Wrong  []string // what must not be; empty: the row is green
	Absent string   // why the row could not be played here; then it is neither
	Loss   *Loss    // what it cost to lose a part of the whole; nil where none was lost
	Took   time.Duration
}

// Green tells whether all was as it must be.
func (r Result) Green() bool { return len(r.Wrong) == 0 && r.Absent == "" }

// Rows returns the whole matrix. The power is cut so many times.
func Rows(cuts int) []Row {
	return slices.Concat(
		natsRows(), redisRows(), s3Rows(), azureRows(), sourceRows(), killRows(), programRows(), fleetRows(), clusterRows(), powerRows(cuts), zoneRows(), regionRows(),
	)
}

// Choose returns the rows whose names begin with one of the words; without words all, or those of the short form.
func Choose(words []string, short bool, cuts int) (rows []Row, err error) {
	all := Rows(cuts)
	for _, word := range words {
		if !slices.ContainsFunc(all, func(r Row) bool { return strings.HasPrefix(r.Name, word) }) {
			return nil, fmt.Errorf("no row of the matrix begins with %q; --list shows all", word)
		}
	}
	for _, r := range all {
		wanted := len(words) == 0 && (r.Short || !short)
		for _, word := range words {
			wanted = wanted || strings.HasPrefix(r.Name, word)
		}
		if wanted {
			rows = append(rows, r)
		}
	}
	return rows, nil
}
