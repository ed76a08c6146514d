package settings_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/settings"
)

func FuzzBytes(f *testing.F) {
	for _, seed := range []string{"0", "8MiB", "1 GiB", "-1", "+1", "9223372036854775807", "9007199254740992KiB", "8589934592GiB", "KiB", "1KiBKiB", "1e3", "٣", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, back settings.Bytes
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := back.UnmarshalText([]byte(b.String())); b < 0 || err != nil || back != b {
			t.Fatalf("%q is %d, written %q, read %d, %v", text, b, b, back, err)
		}
	})
}

// Whatever the environment holds, it is taken or refused with a line that names the variable; nothing panics.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"5s", "-5s", "1h1h", "true", "TRUE", "12", "1,2,,3", " ", "a=b", "\x00", "9999999999h", "s3cret\n", "127.0.0.1:80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var c struct {
			Wait  time.Duration   `env:"T_WAIT" envDefault:"1s" meaning:"a wait"`
			Many  int             `env:"T_MANY" envDefault:"1" meaning:"how many"`
			Size  settings.Bytes  `env:"T_SIZE" envDefault:"1MiB" meaning:"a size"`
			On    bool            `env:"T_ON" envDefault:"false" meaning:"a switch"`
			List  []string        `env:"T_LIST" meaning:"a list"`
			Token settings.Secret `env:"T_TOKEN" meaning:"a secret"`
			Text  string          `env:"T_TEXT" meaning:"a text"`
		}
		err := settings.Load(&c, func(name string) (string, bool) {
			return value, slices.Contains([]string{"T_WAIT", "T_MANY", "T_SIZE", "T_ON", "T_LIST", "T_TOKEN", "T_TEXT"}, name)
		})
		for _, line := range c.Token.Lines() {
			if line == "" {
				t.Fatal("an empty line is a secret")
			}
		}
		if err != nil && err.Error() == "" {
			t.Fatalf("%q is refused without a word", value)
		}
	})
}
