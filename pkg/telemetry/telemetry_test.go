package telemetry

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/settings"
)

func TestALogLineIsOneJSONObjectWithUTCMilliseconds(t *testing.T) {
	var b bytes.Buffer
	NewLogger(Config{LogLevel: "info", LogFormat: "json"}, &b).Info("copied", zap.String("tier", "primary"), zap.Duration("took", 1500*time.Millisecond))
	var line struct{ Time, Level, Msg, Tier, Took string }
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v in %q", err, b.String())
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", line.Time); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("time %q: %v", line.Time, err)
	}
	if line.Level != "info" || line.Msg != "copied" || line.Tier != "primary" || line.Took != "1.5s" {
		t.Errorf("got %+v", line)
	}
}

func TestLevelsBelowTheChosenAreLeftOut(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		var b bytes.Buffer
		l := NewLogger(Config{LogLevel: level, LogFormat: "console"}, &b)
		l.Debug("x")
		l.Info("x")
		l.Warn("x")
		l.Error("x")
		if got := strings.Count(b.String(), "\n"); got != want {
			t.Errorf("%s: got %d lines, want %d", level, got, want)
		}
	}
}

func TestNothingIsSampled(t *testing.T) {
	var b bytes.Buffer
	l := NewLogger(Config{LogLevel: "info", LogFormat: "json"}, &b)
	for range 5000 {
		l.Info("the same")
	}
	if got := strings.Count(b.String(), "\n"); got != 5000 {
		t.Errorf("got %d lines of 5000", got)
	}
}

func TestUnknownLevelAndFormatAreProblems(t *testing.T) {
	var c Config
	err := settings.Load(&c, func(name string) (string, bool) { return "loud", true })
	want := "TWINREEL_LOG_FORMAT: want json or console\nTWINREEL_LOG_LEVEL: want debug, info, warn or error"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestTheRegistryHasBuildProcessAndRuntime(t *testing.T) {
	families, err := NewRegistry("ingress", "v1").Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
		if f.GetName() != "twinreel_build_info" {
			continue
		}
		if l := f.GetMetric()[0].GetLabel(); l[0].GetValue() != "ingress" || l[1].GetValue() != "v1" || f.GetMetric()[0].GetGauge().GetValue() != 1 {
			t.Errorf("build info: got %v", f.GetMetric()[0])
		}
	}
	for _, name := range []string{"twinreel_build_info", "go_goroutines", "process_open_fds"} {
		if !found[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestTheVersionIsTheModulesOrTheCommit(t *testing.T) {
	set := func(kv ...string) (out []debug.BuildSetting) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return out
	}
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":             {Main: debug.Module{Version: "v1.2.3"}},
		"0123456789ab":       {Main: debug.Module{Version: "(devel)"}, Settings: set("vcs.revision", "0123456789abcdef", "vcs.modified", "false")},
		"0123456789ab-dirty": {Settings: set("vcs.modified", "true", "vcs.revision", "0123456789abcdef")},
		"unknown":            {Main: debug.Module{Version: "(devel)"}},
	} {
		if got := version(info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if Version() == "" {
		t.Error("a test binary has no version at all")
	}
}
