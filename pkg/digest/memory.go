package digest

import (
	"context"
	"errors"
	"sync"
)

// Memory is an Agreement in memory, for tests. The zero value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	entries map[string]Held
	last    uint64
	away    bool
}

// errAway is what Memory answers while it plays dead.
var errAway = errors.New("no answer")

// SetAway makes every call fail, or work again.
func (m *Memory) SetAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// Agree implements Agreement.
func (m *Memory) Agree(_ context.Context, key string, offer Entry) (Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Held{}, errAway
	}
	if held, ok := m.entries[key]; ok {
		return held, nil
	}
	held := m.set(key, offer)
	held.Created = true
	return held, nil
}

// Get implements Agreement.
func (m *Memory) Get(_ context.Context, key string) (Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Held{}, errAway
	}
	held, ok := m.entries[key]
	if !ok {
		return Held{}, ErrNoEntry
	}
	return held, nil
}

// Confirm implements Agreement.
func (m *Memory) Confirm(ctx context.Context, key string, held Held) (Held, error) {
	now, err := m.Get(ctx, key)
	if err == nil && now.Revision == held.Revision {
		return held, nil
	}
	return now, err
}

// Replace implements Agreement.
func (m *Memory) Replace(_ context.Context, key string, revision uint64, e Entry) (Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Held{}, errAway
	}
	if held, ok := m.entries[key]; !ok || held.Revision != revision {
		return Held{}, ErrChanged
	}
	return m.set(key, e), nil
}

// Purge removes the entry, as the reconciler does when both tiers are confirmed.
func (m *Memory) Purge(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

func (m *Memory) set(key string, e Entry) Held {
	if m.entries == nil {
		m.entries = map[string]Held{}
	}
	m.last++
	held := Held{Entry: e, Revision: m.last}
	m.entries[key] = held
	return held
}
