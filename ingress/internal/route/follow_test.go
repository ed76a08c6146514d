package route

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestAChangeOnTheBoardIsHeededByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, plenty)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.Run(ctx) }()
		synctest.Wait()
		for _, c := range []struct {
			primary tier.Standing
			want    queue.Route
		}{{views(sick), queue.Backup}, {nobody, queue.Both}, {paused, queue.Backup}, {views(well), queue.Both}} {
			f.board.say(c.primary, views(well))
			<-time.After(time.Second)
			if got := f.Route(nil); got != c.want {
				t.Errorf("a second later: %s, want %s", got, c.want)
			}
		}
		f.live.Store(4)
		<-time.After(time.Second)
		if got, want := float64(f.bucket.tokens.Limit()), f.Config.perSecond()/4; got != want {
			t.Errorf("with four live: %v requests a second, want %v", got, want)
		}
		stop()
		<-ended
	})
}

func TestEachChangeIsOneLineAndSaysWhy(t *testing.T) {
	f := newFixture(t, plenty)
	for _, c := range []struct {
		primary, backup tier.Standing
		level           zapcore.Level
		primaryWhy      string
	}{
		{views(well, sick, sick), views(well), zapcore.WarnLevel, "2 of 3 workers: degraded (s3 put: 503)"},
		{views(well, sick, slow), views(well), zapcore.InfoLevel, "1 of 3 workers: degraded (s3 put: 503), 1 of 3 workers: slow (probe writes take 3 times their median)"},
		{paused, views(well), zapcore.WarnLevel, "paused by ada: move"},
		{views(well), views(well), zapcore.InfoLevel, ""},
	} {
		f.board.say(c.primary, c.backup)
		for range 3 {
			f.look()
		}
		lines := f.logs.TakeAll()
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		line := lines[0]
		why, _ := line.ContextMap()["primary_why"].(string)
		if line.Message != "routes changed" || line.Level != c.level || why != c.primaryWhy || line.ContextMap()["primary"] != weight(c.primary) {
			t.Errorf("got %s %s %v", line.Level, line.Message, line.ContextMap())
		}
	}
}

func TestReadyzNamesTiersThatGetNothingLive(t *testing.T) {
	f := newFixture(t, plenty)
	for _, c := range []struct {
		primary, backup tier.Standing
		want            string
	}{
		{nobody, nobody, ""},
		{views(slow), views(well, sick), ""}, // less is not nothing
		{views(denied), views(well), "primary gets nothing live: 1 of 1 workers: parked (s3 put: 403)"},
		{paused, views(sick, sick), "primary gets nothing live: paused by ada: move; backup gets nothing live: 2 of 2 workers: degraded (s3 put: 503)"},
	} {
		f.board.say(c.primary, c.backup)
		got := ""
		if err := f.Check(t.Context()); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestMetricsSayWeightsAndRoutes(t *testing.T) {
	f := newFixture(t, Config{RequestLimit: 8, LimitShare: 1})
	says := func(want map[string]float64) {
		t.Helper()
		got := f.gathered(t)
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s is %v, want %v", name, got[name], v)
			}
		}
	}
	says(map[string]float64{"twinreel_tier_weight primary": 1, "twinreel_tier_weight backup": 1})
	f.board.say(views(sick, well), views(well))
	f.look()
	says(map[string]float64{"twinreel_tier_weight primary": 0.5, "twinreel_tier_weight backup": 1})
	f.board.say(nobody, nobody)
	f.look()
	f.routes(4, bytesOf(8<<20+1)) // each costs 6 of 8
	says(map[string]float64{
		"twinreel_routes_total both": 2, "twinreel_routes_total backup": 2, "twinreel_routes_total primary": 0, "twinreel_primary_over_limit_total": 2,
	})
}

func TestSettingsOfTheRequestLimit(t *testing.T) {
	for _, c := range []struct {
		Config
		bad string
	}{
		{Config{3500, 0.5}, ""},
		{Config{1, 1}, ""},
		{Config{0, 0.5}, "TWINREEL_PRIMARY_REQUEST_LIMIT"},
		{Config{-1, 0.5}, "TWINREEL_PRIMARY_REQUEST_LIMIT"},
		{Config{1 << 40, 0.5}, "TWINREEL_PRIMARY_REQUEST_LIMIT"},
		{Config{3500, 0}, "TWINREEL_PRIMARY_LIMIT_SHARE"},
		{Config{3500, -0.5}, "TWINREEL_PRIMARY_LIMIT_SHARE"},
		{Config{3500, 1.01}, "TWINREEL_PRIMARY_LIMIT_SHARE"},
	} {
		got := c.Check()
		if (c.bad == "") != (len(got) == 0) || c.bad != "" && got[0].Variable != c.bad {
			t.Errorf("%+v: got %v", c.Config, got)
		}
	}
}
