package inventory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
)

// Bounds of a listing.
const (
	pageSize = 1024 // keys that are handed over at once
	ahead    = 4    // ranges that are listed before their turn
	buffered = 2    // pages of each that wait
	tries    = 6    // of one place of a listing
)

// Listed is a key as a store lists it, with all its versions.
type Listed struct {
	Key      string
	Size     int64
	ETag     string
	Modified time.Time
	Versions int
	Visible  bool // a plain GET answers with the newest
	Alike    bool // all versions have the newest's size and ETag

	version string // the ID of the last that was listed
}

// Lister lists a whole store.
type Lister struct {
	Store  objstore.Reader
	Bounds []string       // ascending: keys that part it into ranges, which are listed side by side
	Waits  queue.Schedule // before a place is tried again
	Pause  func(ctx context.Context, d time.Duration)
}

// Waits are how long a listing waits before it tries a place again.
func Waits() queue.Schedule {
	return queue.Schedule{Base: 500 * time.Millisecond, Cap: 20 * time.Second}
}

// Pages yields all keys in ascending order. A page that fails is asked for again from the last whole key on; one that fails
// too often ends the listing with its error, as ctx does. Nothing is yielded after a range that was not listed to its end,
// and no request is on its way any more when the loop over the pages is left.
func (l Lister) Pages(ctx context.Context) iter.Seq2[[]Listed, error] {
	return func(yield func([]Listed, error) bool) {
		var all sync.WaitGroup
		defer all.Wait()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		var ranges []chan result
		start := func(i int) {
			if i > len(l.Bounds) {
				return
			}
			c := make(chan result, buffered)
			ranges = append(ranges, c)
			all.Go(func() { l.feed(ctx, l.bound(i-1), l.bound(i), c) })
		}
		for i := range ahead {
			start(i)
		}
		for i := 0; i < len(ranges); i++ {
			for r := range ranges[i] {
				if !yield(r.page, r.err) || r.err != nil {
					return
				}
			}
			if err := ctx.Err(); err != nil { // the range may lack its end
				yield(nil, err)
				return
			}
			start(i + ahead)
		}
	}
}

// bound is the i-th bound, "" before the first and after the last.
func (l Lister) bound(i int) string {
	if i < 0 || i >= len(l.Bounds) {
		return ""
	}
	return l.Bounds[i]
}

type result struct {
	page []Listed
	err  error
}

// feed lists one range into c. An error is the last that is sent; without one, and unless ctx has ended, the range is whole.
func (l Lister) feed(ctx context.Context, after, through string, c chan<- result) {
	defer close(c)
	send := func(r result) bool {
		select {
		case c <- r:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for failures := 0; ; {
		last, err := l.list(ctx, after, through, func(page []Listed) bool { return send(result{page: page}) })
		if err == nil || ctx.Err() != nil {
			return
		}
		if last > after {
			after, failures = last, 0
		}
		if failures++; failures == tries || !fault.Passes(err) {
			send(result{err: err})
			return
		}
		l.Pause(ctx, max(l.Waits.Delay(failures), fault.RetryAfterOf(err)))
	}
}

var errStopped = errors.New("stopped")

// list lists once, and returns the last key that was handed over whole.
func (l Lister) list(ctx context.Context, after, through string, page func([]Listed) bool) (last string, err error) {
	last = after
	p := make([]Listed, 0, pageSize)
	flush := func() bool {
		if len(p) == 0 {
			return true
		}
		last = p[len(p)-1].Key
		full := p
		p = make([]Listed, 0, pageSize)
		return page(full)
	}
	for info, err := range l.Store.ListRange(ctx, after, through) {
		switch {
		case err != nil:
			if len(p) > 0 { // more versions of the last key may have been to come
				p = p[:len(p)-1]
			}
			if !flush() {
				return last, errStopped
			}
			return last, err
		case len(p) > 0 && p[len(p)-1].Key == info.Key:
			p[len(p)-1].add(info)
			continue
		case len(p) > 0 && p[len(p)-1].Key > info.Key || info.Key <= after || through != "" && info.Key > through:
			return last, fault.New(fault.Transient, fault.Store, "list", fmt.Errorf("the listing is out of order at %q", info.Key))
		case len(p) == pageSize && !flush():
			return last, errStopped
		}
		p = append(p, Listed{Key: info.Key, Size: info.Size, ETag: info.ETag, Modified: info.Modified, Versions: 1, Visible: info.Latest, Alike: true, version: info.VersionID})
	}
	if !flush() {
		return last, errStopped
	}
	return last, nil
}

// add takes in an older version. A version that is listed twice in a row, as some stores do at a page's border, is one.
func (l *Listed) add(older objstore.Info) {
	if older.VersionID == l.version {
		return
	}
	l.version = older.VersionID
	l.Versions++
	l.Visible = l.Visible || older.Latest
	l.Alike = l.Alike && older.Size == l.Size && older.ETag == l.ETag
}
