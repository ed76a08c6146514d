package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/roster"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
)

// Line is what all leaves say of one object.
type Line = roster.Line

// ErrChanged is returned by a roster whose store failed while it was read: what was yielded is true, but not all.
var ErrChanged = errors.New("the roster broke off")

// Roster yields what was ever sealed of each object, ascending by object key, over all epochs, one line for each object and
// recording. Erasures that name no object come first. Memory does not grow with the log, but for its newest 2^16 leaves. It
// stops at the first error.
func (l *Log) Roster(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		epochs, err := l.Copies(ctx)
		if err != nil {
			yield(Line{}, err)
			return
		}
		var sources []iter.Seq2[Line, error]
		for _, copies := range epochs {
			list, err := rosterOfAny(ctx, copies)
			if err != nil {
				yield(Line{}, err)
				return
			}
			sources = append(sources, list...)
		}
		for line, err := range roster.Merge(sources) {
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrChanged, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// rosterOfAny returns the rosters of one epoch, oldest first, from the first copy of which the newest leaves can be read.
func rosterOfAny(ctx context.Context, copies []Copy) ([]iter.Seq2[Line, error], error) {
	var all error
	for _, c := range copies {
		segments, tail := roster.Cover(c.Size)
		var newest roster.Collector
		err := tree.Leaves(ctx, c.Reader, c.Epoch, tail, c.Size, c.Size, func(one leaf.Leaf) { newest.Add(one) })
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s, epoch %s: %w", c.Tier, c.Epoch, err))
			continue
		}
		var out []iter.Seq2[Line, error]
		for _, s := range segments {
			out = append(out, s.Lines(ctx, c.Reader, c.Epoch))
		}
		return append(out, newest.Lines()), nil
	}
	return nil, all
}

// Forgotten yields the lines of recordings that were erased on purpose, as Roster does.
func (l *Log) Forgotten(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for line, err := range l.Roster(ctx) {
			if err == nil && line.Forgotten == nil {
				continue
			}
			if !yield(line, err) {
				return
			}
		}
	}
}
