package s3store_test

import (
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/settings"
)

// load loads the settings from KEY=value words, on top of those that are required.
func load(c any, words ...string) error {
	set := map[string]string{"TWINREEL_S3_BUCKET": "b", "TWINREEL_S3_REGION": "r"}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		set[name] = value
	}
	return settings.Load(c, func(name string) (string, bool) { v, ok := set[name]; return v, ok })
}

func TestGoodSettings(t *testing.T) {
	for _, words := range [][]string{
		nil,
		{"TWINREEL_S3_ENDPOINT=http://127.0.0.1:9000", "TWINREEL_S3_PATH_STYLE=true"},
		{"TWINREEL_S3_SSE=AES256"},
		{"TWINREEL_S3_SSE=aws:kms", "TWINREEL_S3_SSE_KMS_KEY_ID=k"},
		{"TWINREEL_S3_OBJECT_LOCK_MODE=GOVERNANCE", "TWINREEL_S3_OBJECT_LOCK_DAYS=1"},
	} {
		var c s3store.Config
		if err := load(&c, words...); err != nil {
			t.Errorf("%v: %v", words, err)
		}
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for words, variable := range map[string]string{
		"TWINREEL_S3_BUCKET=":                            "TWINREEL_S3_BUCKET",
		"TWINREEL_S3_REGION=":                            "TWINREEL_S3_REGION",
		"TWINREEL_S3_ENDPOINT=s3.example.com":            "TWINREEL_S3_ENDPOINT",
		"TWINREEL_S3_ENDPOINT=ftp://h":                   "TWINREEL_S3_ENDPOINT",
		"TWINREEL_S3_ENDPOINT=http://user:secret-pw@h":   "TWINREEL_S3_ENDPOINT",
		"TWINREEL_S3_PATH_STYLE=perhaps":                 "TWINREEL_S3_PATH_STYLE",
		"TWINREEL_S3_SSE=rot13":                          "TWINREEL_S3_SSE",
		"TWINREEL_S3_SSE_KMS_KEY_ID=k":                   "TWINREEL_S3_SSE_KMS_KEY_ID",
		"TWINREEL_S3_OBJECT_LOCK_MODE=FOREVER":           "TWINREEL_S3_OBJECT_LOCK_MODE",
		"TWINREEL_S3_OBJECT_LOCK_MODE=COMPLIANCE":        "TWINREEL_S3_OBJECT_LOCK_DAYS",
		"TWINREEL_S3_OBJECT_LOCK_DAYS=5":                 "TWINREEL_S3_OBJECT_LOCK_DAYS",
		"TWINREEL_S3_OBJECT_LOCK_DAYS=-5":                "TWINREEL_S3_OBJECT_LOCK_DAYS",
		"TWINREEL_S3_OBJECT_LOCK_DAYS=99999999999999999": "TWINREEL_S3_OBJECT_LOCK_DAYS",
	} {
		var c s3store.Config
		err := load(&c, words)
		if err == nil || !strings.HasPrefix(err.Error(), variable+": ") && !strings.Contains(err.Error(), "\n"+variable+": ") {
			t.Errorf("%s: %v", words, err)
		} else if strings.Contains(err.Error(), "secret-pw") {
			t.Errorf("%s is repeated: %v", words, err)
		}
	}
}
