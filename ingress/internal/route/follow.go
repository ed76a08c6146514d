package route

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// look takes over how things stand now, and says what has changed.
func (r *Router) look() {
	r.bucket.share(r.Now(), r.Live())
	s := r.Board.Standings()
	next := weights{weight(s[tier.Primary]), weight(s[tier.Backup])}
	was := *r.weights.Load()
	if next == was {
		return
	}
	r.weights.Store(&next)
	r.metrics.weigh(next)
	fields := []zap.Field{zap.Float64("primary", next.primary), zap.Float64("backup", next.backup)}
	for _, t := range tier.All() {
		if weight(s[t]) < 1 {
			fields = append(fields, zap.String(t.String()+"_why", fault.Clean(why(s[t]))))
		}
	}
	level := zapcore.InfoLevel
	if next.primary < was.primary || next.backup < was.backup {
		level = zapcore.WarnLevel
	}
	r.Log.Log(level, "routes changed", fields...)
}

// weight is a tier's, to a millionth: the order in which a mean is added up must not pass for a change.
func weight(s tier.Standing) float64 { return math.Round(s.Weight()*1e6) / 1e6 }

// why says what keeps a tier from taking everything.
func why(s tier.Standing) string {
	if s.Pause != nil {
		return fmt.Sprintf("paused by %s: %s", s.Pause.By, s.Pause.Reason)
	}
	said := map[string]int{}
	for _, v := range s.Views {
		if v.State == tier.Healthy && v.Weight >= 1 {
			continue
		}
		text := string(v.State)
		if v.State == tier.Healthy {
			text = "slow"
		}
		if v.Reason != "" {
			text += " (" + v.Reason + ")"
		}
		said[text]++
	}
	texts := slices.Sorted(maps.Keys(said))
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%d of %d workers: %s", said[text], len(s.Views), text)
	}
	return strings.Join(texts, ", ")
}

// Check is a detail of /readyz: which tiers get nothing live, and why.
func (r *Router) Check(context.Context) error {
	s := r.Board.Standings()
	var out []string
	for _, t := range tier.All() {
		if weight(s[t]) == 0 {
			out = append(out, fmt.Sprintf("%s gets nothing live: %s", t, why(s[t])))
		}
	}
	if out == nil {
		return nil
	}
	return errors.New(strings.Join(out, "; "))
}
