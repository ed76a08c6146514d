// Package telemetry makes a program's logger and its metrics registry, and knows its version.
package telemetry

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is how a program logs.
type Config struct {
	LogLevel  string `env:"TWINREEL_LOG_LEVEL" envDefault:"info" meaning:"debug, info, warn or error"`
	LogFormat string `env:"TWINREEL_LOG_FORMAT" envDefault:"json" meaning:"json, or console for people"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	var out []settings.Problem
	if _, ok := level(c.LogLevel); !ok {
		out = append(out, settings.Problem{Variable: "TWINREEL_LOG_LEVEL", Text: "want debug, info, warn or error"})
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		out = append(out, settings.Problem{Variable: "TWINREEL_LOG_FORMAT", Text: "want json or console"})
	}
	return out
}

func level(name string) (zapcore.Level, bool) {
	switch name {
	case "debug":
		return zapcore.DebugLevel, true
	case "info":
		return zapcore.InfoLevel, true
	case "warn":
		return zapcore.WarnLevel, true
	case "error":
		return zapcore.ErrorLevel, true
	}
	return zapcore.InfoLevel, false
}

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// NewLogger returns a logger that writes one line an event to w: JSON with the keys time (RFC 3339, UTC, milliseconds),
// level and msg, or text. Nothing is sampled: each line is an outcome that somebody may look for.
func NewLogger(c Config, w io.Writer) *zap.Logger {
	e := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", MessageKey: "msg", NameKey: "logger", LineEnding: zapcore.DefaultLineEnding,
		EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.StringDurationEncoder, EncodeName: zapcore.FullNameEncoder,
		EncodeTime: func(t time.Time, enc zapcore.PrimitiveArrayEncoder) { enc.AppendString(t.UTC().Format(timeLayout)) },
	}
	encoder := zapcore.NewJSONEncoder(e)
	if c.LogFormat == "console" {
		encoder = zapcore.NewConsoleEncoder(e)
	}
	l, _ := level(c.LogLevel)
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), l))
}
