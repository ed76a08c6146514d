package redisledger

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Turn takes a turn at name, of which all processes together have perSecond, evenly spaced: wait is 0 when it is had, else
// how long to wait before asking again. It keeps <prefix>:rate:<name>. An error means that nobody knows.
func (l *Ledger) Turn(ctx context.Context, name string, perSecond int) (wait time.Duration, err error) {
	got, err := redis_rate.NewLimiter(prefixed{l.client, l.prefix + ":"}).Allow(ctx, name, redis_rate.Limit{Rate: perSecond, Burst: 1, Period: time.Second})
	switch {
	case err != nil:
		return 0, unanswered(fmt.Sprintf("take a turn at %s", name), err)
	case got.Allowed > 0:
		return 0, nil
	}
	return max(got.RetryAfter, time.Millisecond), nil
}

// prefixed is a client whose scripts' keys, which redis_rate begins with "rate:", come below our prefix.
type prefixed struct {
	*redis.Client
	prefix string
}

func (p prefixed) under(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = p.prefix + k
	}
	return out
}

// Eval runs a script.
func (p prefixed) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return p.Client.Eval(ctx, script, p.under(keys), args...)
}

// EvalSha runs a script that the server knows.
func (p prefixed) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return p.Client.EvalSha(ctx, sha1, p.under(keys), args...)
}
