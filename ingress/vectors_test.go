package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/testenv"
)

// vector is a case of testdata/webhook.json.
type vector struct {
	Name, Scheme, Method, Path string
	Secrets                    []string
	Headers                    map[string]string
	Body                       []byte `json:"body_b64"`
	Status                     int
	Code                       *string // nil: any
	PadTo                      int     `json:"pad_to"` // body of that many 'a'
}

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/webhook.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// rotation is a secret's file that a running ingress reads.
type rotation struct {
	*ingress
	path   string
	active []string
}

// to makes these secrets the active ones, and waits until ingress has seen it: each new one signs, none of the old.
func (r *rotation) to(secrets []string) {
	r.t.Helper()
	before := r.active
	r.active = secrets
	write(r.t, r.path, strings.Join(secrets, "\n")+"\n")
	const probe = `{"event":"RECORDING_STARTED"}`
	isActive := func(secret string) bool {
		return r.send(http.MethodPost, defaultPath, []byte(probe), signed(secret, probe)...).status == http.StatusOK
	}
	until(r.t, "the rotated secrets are active", func() bool {
		for _, s := range secrets {
			if !isActive(s) {
				return false
			}
		}
		for _, s := range before {
			if !strings.Contains(strings.Join(secrets, "\n"), s) && isActive(s) {
				return false
			}
		}
		return true
	})
}

func TestEveryVectorGetsItsAnswerWhileSecretsRotate(t *testing.T) {
	js := provisioned(t, "test16")
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, "not yet\n")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test16", "TWINREEL_WEBHOOK_SECRET=", "TWINREEL_WEBHOOK_SECRET_FILE="+path).ready()
	secrets := &rotation{ingress: p, path: path, active: []string{"not yet"}}
	accepted := uint64(0)
	for _, v := range vectors(t) {
		if v.Scheme != "hub-sha256" {
			t.Fatalf("%s: no ingress is set up for scheme %s", v.Name, v.Scheme)
		}
		if strings.Join(v.Secrets, "\n") != strings.Join(secrets.active, "\n") {
			secrets.to(v.Secrets)
		}
		sent := v.Body
		if v.PadTo > 0 {
			sent = bytes.Repeat([]byte("a"), v.PadTo)
		}
		var headers []string
		for name, value := range v.Headers {
			headers = append(headers, name, value)
		}
		a := p.send(v.Method, v.Path, sent, headers...)
		if a.status != v.Status || (v.Code != nil && a.Code != *v.Code) {
			t.Errorf("%s: got %d %q (%s), want %d", v.Name, a.status, a.Code, a.Detail, v.Status)
		}
		if problem := a.header.Get("Content-Type") == "application/problem+json"; problem != (a.status >= 400) {
			t.Errorf("%s: %d as %s", v.Name, a.status, a.header.Get("Content-Type"))
		}
		if a.Code == "accepted" {
			accepted++
		}
		if n := stored(t, js); n != accepted {
			t.Errorf("%s: %d messages in the stream after %d accepted webhooks", v.Name, n, accepted)
		}
	}
	if accepted == 0 {
		t.Error("no vector was accepted")
	}
}
