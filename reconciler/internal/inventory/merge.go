// Package inventory puts three lists side by side: what primary holds, what backup holds, and the ledger of what was
// acknowledged. Each is read in order, once; memory does not grow with their length.
//
// A list that is out of order, or breaks off, is an error: what it left out must never look missing.
package inventory

import (
	"errors"
	"fmt"
	"iter"
)

// Row is one key with what each of the lists says of it; nil: nothing. It is the merge's own, and valid for one call.
type Row struct {
	Key             string
	Primary, Backup *Listed
	Ledger          *Entry
}

// Counts are how many keys each list had.
type Counts struct{ Keys, Primary, Backup, Ledger int64 }

// Merge calls visit for each key that any of the lists has, in ascending order, and stops at its first error, which it
// returns as it is.
func Merge(primary, backup iter.Seq2[[]Listed, error], ledger iter.Seq2[[]Expected, error], visit func(*Row) error) (n Counts, err error) {
	p, stopP := begin("the listing of primary", primary, func(l *Listed) string { return l.Key })
	defer stopP()
	b, stopB := begin("the listing of backup", backup, func(l *Listed) string { return l.Key })
	defer stopB()
	l, stopL := begin("the ledger", ledger, func(e *Expected) string { return e.Key })
	defer stopL()
	for {
		if err := errors.Join(p.fill(), b.fill(), l.fill()); err != nil {
			return n, err
		}
		key, some := lowest(p.now, !p.over, b.now, !b.over)
		if key, some = lowest(key, some, l.now, !l.over); !some {
			return n, nil
		}
		row := Row{Key: key}
		n.Keys++
		if row.Primary = p.take(row.Key); row.Primary != nil {
			n.Primary++
		}
		if row.Backup = b.take(row.Key); row.Backup != nil {
			n.Backup++
		}
		if e := l.take(row.Key); e != nil {
			n.Ledger++
			row.Ledger = &e.Entry
		}
		if err := visit(&row); err != nil {
			return n, err
		}
	}
}

// cursor stands at an item of a list.
type cursor[T any] struct {
	name  string
	key   func(*T) string
	pull  func() ([]T, error, bool)
	page  []T
	at    int
	now   string // the key of the item it stands at
	last  string // the key before
	any   bool   // there was one before
	over  bool
	ready bool // it stands at an item
}

func begin[T any](name string, list iter.Seq2[[]T, error], key func(*T) string) (*cursor[T], func()) {
	pull, stop := iter.Pull2(list)
	return &cursor[T]{name: name, key: key, pull: pull}, stop
}

// lowest returns the lower of two keys, of those that are there.
func lowest(a string, aThere bool, b string, bThere bool) (string, bool) {
	if !aThere || bThere && b < a {
		return b, bThere
	}
	return a, aThere
}

// fill makes the cursor stand at an item, unless the list is over.
func (c *cursor[T]) fill() error {
	if c.over || c.ready {
		return nil
	}
	for c.at >= len(c.page) {
		page, err, ok := c.pull()
		if !ok {
			c.over = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		c.page, c.at = page, 0
	}
	c.now = c.key(&c.page[c.at])
	if c.any && c.now <= c.last {
		return fmt.Errorf("%s is out of order: %q follows %q", c.name, c.now, c.last)
	}
	c.last, c.any, c.ready = c.now, true, true
	return nil
}

// take returns the item and goes on if it is of that key. The item stays as it is until the next fill.
func (c *cursor[T]) take(key string) *T {
	if c.over || c.now != key {
		return nil
	}
	out := &c.page[c.at]
	c.at++
	c.ready = false
	return out
}
