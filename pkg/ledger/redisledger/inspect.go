package redisledger

import (
	"context"
	"strings"
	"time"
)

// Setup is how a Redis server is set up, as far as it tells: a field that it does not tell is "".
type Setup struct {
	Version    string
	Eviction   string // maxmemory-policy: "noeviction" …
	MaxMemory  string // bytes; "0" for no bound
	AppendOnly string // "1" where it keeps an append-only file
	Sync       string // appendfsync: always, everysec or no
	Save       string // when it saves snapshots: "3600 1 300 100 …"; "" for never, or not told
	SaveTold   bool   // Save is what it says, also where that is ""
	Role       string // master, or slave: which takes no writes
}

// Inspect returns how the server is set up: by INFO, which is open to whoever may ask anything, and where it is permitted by
// CONFIG GET. Errors as those of all methods.
func (l *Ledger) Inspect(ctx context.Context) (Setup, error) {
	text, err := l.client.Info(ctx).Result()
	if err != nil {
		return Setup{}, unanswered("ask how Redis is set up", err)
	}
	told := infoFields(text)
	s := Setup{
		Version: told["redis_version"], Eviction: told["maxmemory_policy"], MaxMemory: told["maxmemory"], AppendOnly: told["aof_enabled"],
		Role: told["role"],
	}
	s.Sync = l.setting(ctx, "appendfsync")
	if all, err := l.client.ConfigGet(ctx, "save").Result(); err == nil {
		s.Save, s.SaveTold = all["save"], true
	}
	return s, nil
}

// setting is one of the server's settings, "" where it is not told: many providers refuse the question.
func (l *Ledger) setting(ctx context.Context, name string) string {
	all, err := l.client.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return all[name]
}

// infoFields reads an answer to INFO.
func infoFields(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out
}

// Clock returns the server's own time.
func (l *Ledger) Clock(ctx context.Context) (time.Time, error) {
	at, err := l.client.Time(ctx).Result()
	if err != nil {
		return time.Time{}, unanswered("ask Redis for the time", err)
	}
	return at.UTC(), nil
}
