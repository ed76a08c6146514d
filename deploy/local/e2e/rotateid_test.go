package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// given the Azure account's key in a file, when the second key takes its place and the server forgets the first, then every
// recording is stored.
func TestTheAzureAccountKeyIsChangedUnderLoad(t *testing.T) {
	t.Parallel()
	v := newVault(t, 63)
	first, second := v.stack.AzureAccess.Key, base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text()))
	again := func(keys ...string) {
		t.Helper()
		v.must(v.stack.SetAzureKeys(keys...))
		v.must(v.stack.Azure.Stop())
		v.must(v.stack.Azure.Start(t.Context()))
	}
	again(second, first)
	v.put("azure", first)
	v.start(map[string]map[string]string{fleet.WorkerBackup: {
		"TWINREEL_AZURE_SAS_TOKEN_FILE": "", "TWINREEL_AZURE_ACCOUNT_NAME": v.stack.AzureAccess.Account, "TWINREEL_AZURE_ACCOUNT_KEY_FILE": v.file("azure"),
	}})
	stop := v.load()
	v.pause(rereadWithin)
	v.put("azure", second)
	v.pause(rereadWithin)
	again(second)
	v.pause(rereadWithin)
	n := stop()
	v.settle()
	v.sound(n)
	v.noLetters()
	v.well()
}

// tokens is a token service: it gives the keys to whoever shows the token, for a little more than a client waits before it
// asks again. There is no session token with them, since versitygw knows no sessions and refuses any.
type tokens struct {
	mu    sync.Mutex
	token string
	keys  stack.Keys
	asked int
}

// shown is how often the token that is taken now was shown.
func (s *tokens) shown() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *tokens) accept(token string, k stack.Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.keys, s.asked = token, k, 0
}

// ServeHTTP answers AssumeRoleWithWebIdentity.
func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.FormValue("WebIdentityToken") != s.token {
		http.Error(w, `<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>`, http.StatusBadRequest)
		return
	}
	s.asked++
	fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
		`<SecretAccessKey>%s</SecretAccessKey><SessionToken></SessionToken><Expiration>%s</Expiration></Credentials>`+
		`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, s.keys.Access, s.keys.Secret, time.Now().Add(65*time.Second).UTC().Format(time.RFC3339))
}

// given a worker whose S3 keys come by a role, when its token is changed and the role's keys with it, and the file is empty
// for a while, then every recording is stored.
func TestTheTokenOfAnS3RoleIsChangedUnderLoad(t *testing.T) {
	t.Parallel()
	v := newVault(t, 64)
	service := &tokens{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	service.accept("one", v.stack.S3Access.Writer)
	v.put("token", "one")
	v.start(map[string]map[string]string{fleet.WorkerPrimary: {
		"AWS_SHARED_CREDENTIALS_FILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": v.file("token"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/worker",
		"AWS_ENDPOINT_URL_STS": server.URL,
	}})
	stop := v.load()
	withdraw, err := v.stack.RotateS3Writer(t.Context())
	v.must(err)
	v.put("token", "")
	v.pause(rereadWithin)
	service.accept("two", v.stack.S3Access.Writer)
	v.put("token", "two")
	v.pause(rereadWithin)
	v.must(withdraw())
	v.pause(rereadWithin)
	n := stop()
	if service.shown() == 0 {
		t.Error("the new token was never shown")
	}
	v.settle()
	v.sound(n)
	v.noLetters()
	v.well()
}
