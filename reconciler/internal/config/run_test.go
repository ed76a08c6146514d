package config

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/twinreel/twinreel/pkg/settings"
)

// whole returns settings with which `run` starts, but for those that are changed; "" leaves one out.
func whole(t *testing.T, changed map[string]string) func(string) (string, bool) {
	t.Helper()
	key, _, err := note.GenerateKey(rand.Reader, "audit.example.com")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"TWINREEL_S3_BUCKET": "b", "TWINREEL_S3_REGION": "r", "TWINREEL_AZURE_SERVICE_URL": "https://a.blob.core.windows.net", "TWINREEL_AZURE_CONTAINER": "con",
		"TWINREEL_AUDIT_KEY": key,
	}
	maps.Copy(env, changed)
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestRunTakesAWholeSetOfSettings(t *testing.T) {
	var c Run
	if err := settings.Load(&c, whole(t, nil)); err != nil || c.API.Addr != "127.0.0.1:8081" || c.Repair.Rate != 50 || c.Scrub.Period != 720*time.Hour || c.Scrub.Budget != 10<<30 {
		t.Errorf("got %+v, %v", c.API, err)
	}
}

func TestRunRefusesWhatItCannotServeSafely(t *testing.T) {
	for name, c := range map[string]struct {
		env   map[string]string
		wrong string // the variable that is named; "" for none
	}{
		"the API for everybody without a token": {map[string]string{"TWINREEL_API_ADDR": ":8081"}, "TWINREEL_API_TOKEN"},
		"for a network, too":                    {map[string]string{"TWINREEL_API_ADDR": "10.0.0.1:8081"}, "TWINREEL_API_TOKEN"},
		"for a host name":                       {map[string]string{"TWINREEL_API_ADDR": "api.example.com:8081"}, "TWINREEL_API_TOKEN"},
		"with a token":                          {map[string]string{"TWINREEL_API_ADDR": ":8081", "TWINREEL_API_TOKEN": "s3cret"}, ""},
		"loopback by its other names":           {map[string]string{"TWINREEL_API_ADDR": "[::1]:8081"}, ""},
		"localhost":                             {map[string]string{"TWINREEL_API_ADDR": "localhost:8081"}, ""},
		"no address":                            {map[string]string{"TWINREEL_API_ADDR": "8081"}, "TWINREEL_API_ADDR"},
		"no audit key":                          {map[string]string{"TWINREEL_AUDIT_KEY": ""}, "TWINREEL_AUDIT_KEY"},
		"an audit key that is none":             {map[string]string{"TWINREEL_AUDIT_KEY": "s3cret"}, "TWINREEL_AUDIT_KEY"},
		"no bucket":                             {map[string]string{"TWINREEL_S3_BUCKET": ""}, "TWINREEL_S3_BUCKET"},
		"a period that no store bears":          {map[string]string{"TWINREEL_SCRUB_PERIOD": "59s"}, "TWINREEL_SCRUB_PERIOD"},
		"no period":                             {map[string]string{"TWINREEL_SCRUB_PERIOD": "0"}, "TWINREEL_SCRUB_PERIOD"},
		"a budget that reads nothing":           {map[string]string{"TWINREEL_SCRUB_BYTES_PER_HOUR": "1023KiB"}, "TWINREEL_SCRUB_BYTES_PER_HOUR"},
		"the least of both":                     {map[string]string{"TWINREEL_SCRUB_PERIOD": "1m", "TWINREEL_SCRUB_BYTES_PER_HOUR": "1MiB"}, ""},
		"no rate":                               {map[string]string{"TWINREEL_REPAIR_RATE": "0"}, "TWINREEL_REPAIR_RATE"},
	} {
		t.Run(name, func(t *testing.T) {
			err := settings.Load(&Run{}, whole(t, c.env))
			var got settings.Problems
			switch {
			case c.wrong == "" && err != nil:
				t.Errorf("got %v", err)
			case c.wrong != "" && (!errors.As(err, &got) || len(got) != 1 || got[0].Variable != c.wrong || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("got %v, want one problem of %s", err, c.wrong)
			}
		})
	}
}
