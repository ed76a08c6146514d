// Package fetch reads whole objects of the log, and lists that are read by several requests at a time.
package fetch

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Most bounds an object of the log in bytes: what is larger is none of ours.
const Most = 512 << 20

// Side is how many requests are made side by side.
const Side = 16

// All returns an object's bytes. objstore.ErrNotExist.
func All(ctx context.Context, r objstore.Reader, key string) ([]byte, error) {
	return Range(ctx, r, key, 0, -1)
}

// Range returns n bytes of an object from off, fewer where it ends before; n < 0: to its end.
func Range(ctx context.Context, r objstore.Reader, key string, off, n int64) ([]byte, error) {
	body, err := r.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(io.LimitReader(body, Most+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > Most:
		return nil, fault.New(fault.Corrupt, fault.Store, "read "+key, fmt.Errorf("it is longer than %d bytes", Most))
	}
	return b, nil
}

// Each calls do for 0 to n-1, Side of them at a time, and returns the error of the lowest number that failed. After the
// first failure no more are begun.
func Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	var mu sync.Mutex
	next, failed := 0, n
	var first error
	for range min(Side, n) {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n || ctx.Err() != nil {
					return
				}
				if err := do(ctx, i); err != nil {
					mu.Lock()
					if i < failed && (first == nil || ctx.Err() == nil) {
						failed, first = i, err
					}
					mu.Unlock()
					stop()
				}
			}
		})
	}
	all.Wait()
	if first == nil {
		return context.Cause(ctx)
	}
	return first
}
