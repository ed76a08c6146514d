package objective

import (
	"context"
	"sync"
)

// Latest is what an instance tells of the objective: something while it measures, and nothing else. The zero value is ready.
type Latest struct {
	mu   sync.Mutex
	from *Follower
}

// Run has f measure until ctx ends.
func (l *Latest) Run(ctx context.Context, f *Follower) {
	l.set(f)
	defer l.set(nil)
	f.Run(ctx)
}

func (l *Latest) set(f *Follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = f
}

// Report returns what is known now; ok is false while nobody measures.
func (l *Latest) Report() (Report, bool) {
	l.mu.Lock()
	f := l.from
	l.mu.Unlock()
	if f == nil {
		return Report{}, false
	}
	return f.Report()
}
