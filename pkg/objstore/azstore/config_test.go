package azstore_test

import (
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/settings"
)

// load loads the settings from KEY=value words, on top of those that are required.
func load(c any, words ...string) error {
	set := map[string]string{"TWINREEL_AZURE_SERVICE_URL": "https://a.blob.core.windows.net", "TWINREEL_AZURE_CONTAINER": "recordings"}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		set[name] = value
	}
	return settings.Load(c, func(name string) (string, bool) { v, ok := set[name]; return v, ok })
}

func TestGoodSettings(t *testing.T) {
	for _, words := range [][]string{
		nil,
		{"TWINREEL_AZURE_ACCOUNT_NAME=a", "TWINREEL_AZURE_ACCOUNT_KEY=a2V5"},
		{"TWINREEL_AZURE_SAS_TOKEN=?sv=1&sig=abc%3D", "TWINREEL_AZURE_SERVICE_URL=http://127.0.0.1:10000/a"},
		{"TWINREEL_AZURE_ACCESS_TIER=Cold", "TWINREEL_AZURE_ENCRYPTION_SCOPE=s", "TWINREEL_AZURE_IMMUTABILITY_DAYS=2555"},
	} {
		var c azstore.Config
		if err := load(&c, words...); err != nil {
			t.Errorf("%v: %v", words, err)
		}
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for words, variable := range map[string]string{
		"TWINREEL_AZURE_SERVICE_URL=":                          "TWINREEL_AZURE_SERVICE_URL",
		"TWINREEL_AZURE_SERVICE_URL=a.blob.core.windows.net":   "TWINREEL_AZURE_SERVICE_URL",
		"TWINREEL_AZURE_SERVICE_URL=https://h/?sig=secret-sig": "TWINREEL_AZURE_SERVICE_URL",
		"TWINREEL_AZURE_SERVICE_URL=http://127.0.0.1:10000/a":  "TWINREEL_AZURE_SERVICE_URL",
		"TWINREEL_AZURE_CONTAINER=":                            "TWINREEL_AZURE_CONTAINER",
		"TWINREEL_AZURE_CONTAINER=Recordings":                  "TWINREEL_AZURE_CONTAINER",
		"TWINREEL_AZURE_CONTAINER=a--b":                        "TWINREEL_AZURE_CONTAINER",
		"TWINREEL_AZURE_CONTAINER=ab":                          "TWINREEL_AZURE_CONTAINER",
		"TWINREEL_AZURE_ACCOUNT_KEY=a2V5":                      "TWINREEL_AZURE_ACCOUNT_NAME",
		"TWINREEL_AZURE_ACCOUNT_KEY=not-base64-secret":         "TWINREEL_AZURE_ACCOUNT_KEY",
		"TWINREEL_AZURE_SAS_TOKEN=secret-without-a-signature":  "TWINREEL_AZURE_SAS_TOKEN",
		"TWINREEL_AZURE_ACCESS_TIER=Archive":                   "TWINREEL_AZURE_ACCESS_TIER",
		"TWINREEL_AZURE_IMMUTABILITY_DAYS=-1":                  "TWINREEL_AZURE_IMMUTABILITY_DAYS",
		"TWINREEL_AZURE_IMMUTABILITY_DAYS=a year":              "TWINREEL_AZURE_IMMUTABILITY_DAYS",
	} {
		var c azstore.Config
		err := load(&c, words)
		if err == nil || !strings.HasPrefix(err.Error(), variable+": ") && !strings.Contains(err.Error(), "\n"+variable+": ") {
			t.Errorf("%s: %v", words, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s is repeated: %v", words, err)
		}
	}
}

func TestKeyAndSignatureTogetherAreAProblem(t *testing.T) {
	var c azstore.Config
	err := load(&c, "TWINREEL_AZURE_ACCOUNT_NAME=a", "TWINREEL_AZURE_ACCOUNT_KEY=a2V5", "TWINREEL_AZURE_SAS_TOKEN=sig=x")
	if err == nil || !strings.Contains(err.Error(), "TWINREEL_AZURE_SAS_TOKEN: is set together with TWINREEL_AZURE_ACCOUNT_KEY") {
		t.Errorf("got %v", err)
	}
}
