package redisledger

import (
	"context"
	"strings"

	"github.com/twinreel/twinreel/pkg/tier"
)

// scanCount is how many keys one step of a search through all keys looks at.
const scanCount = 1000

// globs are what Redis takes for a pattern.
var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Forget removes all that Redis holds of the recording, claims included: whoever has one loses it, and ends before he
// commits. Counts of attempts, whose names nobody keeps, are searched for among all keys; what is not found by then lapses
// by itself.
func (l *Ledger) Forget(ctx context.Context, id string) error {
	keys := []string{l.recordKey(id)}
	for _, t := range tier.All() {
		keys = append(keys, l.keys(id, t)[:2]...)
	}
	if err := l.client.Del(ctx, keys...).Err(); err != nil {
		return unanswered("forget "+id, err)
	}
	var cursor uint64
	for {
		found, next, err := l.client.Scan(ctx, cursor, globs.Replace(l.key(id, ""))+"*", scanCount).Result()
		if err == nil && len(found) > 0 {
			err = l.client.Del(ctx, found...).Err()
		}
		if err != nil {
			return unanswered("forget "+id, err)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
