package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// StartReconciler starts `reconciler run` on what is provisioned, and waits until it is ready.
func (f *Fleet) StartReconciler(ctx context.Context) (*Program, error) {
	p, err := f.Start(Reconciler, nil)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx)
}

// daemon is what `reconciler run` needs beyond what a command does: the record API's address and token, and the key that
// signs the audit log, which all instances share.
func (f *Fleet) daemon() (addr string, env map[string]string, err error) {
	if addr, err = stack.FreeAddr(); err != nil {
		return "", nil, err
	}
	if f.auditKey == "" {
		var key struct{ PrivateKey string }
		if err := f.decode(context.Background(), &key, "audit", "keygen", "-o", "json"); err != nil {
			return "", nil, err
		}
		f.auditKey = key.PrivateKey
	}
	return addr, map[string]string{"TWINREEL_API_ADDR": addr, "TWINREEL_API_TOKEN": f.apiToken, "TWINREEL_AUDIT_KEY": f.auditKey}, nil
}

// APIToken is what the record API asks for, as a bearer token.
func (f *Fleet) APIToken() string { return f.apiToken }

// AuditKey is the private key that signs the audit log; "" before the first reconciler was started.
func (f *Fleet) AuditKey() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.auditKey
}

// RecordURL is where a running reconciler tells what it knows of a recording.
func (p *Program) RecordURL(key string) string {
	return "http://" + p.API + "/api/v1/recordings/" + key
}

// Record asks a running reconciler's record API for a recording's status: pending, partial, completed, failed …;
// "unknown" where nobody knows one of that key.
func (f *Fleet) Record(ctx context.Context, p *Program, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.RecordURL((&url.URL{Path: key}).EscapedPath()), nil)
	if err != nil {
		return "", fmt.Errorf("ask the record API for %s: %w", key, err)
	}
	req.Header.Set("Authorization", "Bearer "+f.apiToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the record API for %s: %w", key, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", fmt.Errorf("ask the record API for %s: %w", key, err)
	case resp.StatusCode == http.StatusNotFound:
		return "unknown", nil
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("ask the record API for %s: answered %d: %s", key, resp.StatusCode, body)
	}
	var record struct{ Status string }
	if err := json.Unmarshal(body, &record); err != nil {
		return "", fmt.Errorf("read what the record API says of %s: %w", key, err)
	}
	return record.Status, nil
}
