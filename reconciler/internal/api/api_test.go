package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/history"
)

// log takes audit events, or refuses them.
type log struct {
	events []event.Audit
	err    error
}

func (l *log) Audit(_ context.Context, a event.Audit) error {
	l.events = append(l.events, a)
	return l.err
}

// bed is an API that knows rec-1 and emea/rec-2; nobody can tell of rec-9.
func bed(token string) (*Handler, *log) {
	l := &log{}
	return &Handler{
		Audit: l, Token: settings.NewSecret(token), Now: func() time.Time { return time.Unix(1000, 0) }, Log: zap.NewNop(),
		Find: func(_ context.Context, key string) (history.Recording, error) {
			switch key {
			case "rec-1", "emea/rec-2":
				return history.Recording{Record: ledger.Record{IdempotencyKey: key, RecordingID: key[len(key)-5:], Status: ledger.Pending}}, nil
			case "rec-9":
				return history.Recording{}, history.ErrUnanswered
			}
			return history.Recording{}, history.ErrUnknown
		},
	}, l
}

// ask sends a request; header is a name and a value, or nothing.
func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8081", "192.0.2.7:4711"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestARecordIsAnsweredByItsID(t *testing.T) {
	for path, key := range map[string]string{"rec-1": "rec-1", "default/rec-1": "rec-1", "emea/rec-2": "emea/rec-2"} {
		h, l := bed("")
		w := ask(h, http.MethodGet, Path+path)
		var fields map[string]json.RawMessage
		var r ledger.Record
		if json.Unmarshal(w.Body.Bytes(), &fields) != nil || json.Unmarshal(w.Body.Bytes(), &r) != nil || w.Code != http.StatusOK || r.IdempotencyKey != key {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		var names []string
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"backupStorage", "idempotencyKey", "letters", "primaryStorage", "recordingId", "retries", "retryCount", "sha256", "size", "status", "timeline"}
		if !slices.Equal(names, want) || string(fields["primaryStorage"]) != "null" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: fields %v", path, names)
		}
		if len(l.events) != 1 || l.events[0].Kind != event.AuditRead || !reflect.DeepEqual(l.events[0].Data, event.AuditData{IdempotencyKey: key, By: "local@192.0.2.7"}) {
			t.Errorf("%s: audited %+v", path, l.events)
		}
	}
}

func TestWhatIsNotAnsweredIsAProblemWithItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		status       int
		code         string
	}{
		"unknown to all":         {"GET", Path + "rec-3", 404, "unknown_recording"},
		"nobody can tell":        {"GET", Path + "rec-9", 503, "unavailable"},
		"no ID":                  {"GET", Path, 404, "not_found"},
		"another path":           {"GET", "/api/v1/tiers", 404, "not_found"},
		"an ID that is none":     {"GET", Path + "a/b/c", 400, "invalid_id"},
		"an ID that climbs":      {"GET", Path + "..%2fetc", 400, "invalid_id"},
		"a reserved source":      {"GET", Path + "recording-complete/rec-1", 400, "invalid_id"},
		"another method":         {"POST", Path + "rec-1", 405, "method_not_allowed"},
		"one that would destroy": {"DELETE", Path + "rec-1", 405, "method_not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			h, l := bed("")
			w := ask(h, c.method, c.path)
			var p struct {
				Code   string
				Status int
			}
			if json.Unmarshal(w.Body.Bytes(), &p) != nil || w.Code != c.status || p.Code != c.code || p.Status != c.status ||
				w.Header().Get("Content-Type") != "application/problem+json" || len(l.events) != 0 {
				t.Errorf("%d %v %s, audited %d", w.Code, w.Header(), w.Body, len(l.events))
			}
		})
	}
}

func TestOnlyATokenOpens(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		opens  bool
	}{
		"the token":            {[]string{"Authorization", "Bearer new-token"}, true},
		"the one before":       {[]string{"Authorization", "bearer old-token"}, true},
		"from anywhere":        {[]string{"Authorization", "Bearer new-token", "Host", "api.example.com"}, true},
		"none":                 {nil, false},
		"another":              {[]string{"Authorization", "Bearer new-tokem"}, false},
		"a part":               {[]string{"Authorization", "Bearer new"}, false},
		"both at once":         {[]string{"Authorization", "Bearer new-token\nold-token"}, false},
		"nothing":              {[]string{"Authorization", "Bearer "}, false},
		"another scheme":       {[]string{"Authorization", "Basic new-token"}, false},
		"two headers":          {[]string{"Authorization", "Bearer new-token", "Authorization", "Bearer new-token"}, false},
		"in the query instead": {[]string{"X-Token", "new-token"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, l := bed("new-token\nold-token\n")
			w := ask(h, http.MethodGet, Path+"rec-1?token=new-token", c.header...)
			if opens := w.Code == http.StatusOK; opens != c.opens || opens != (len(l.events) == 1) {
				t.Errorf("%d %s, audited %d", w.Code, w.Body, len(l.events))
			}
			if !c.opens && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer" || strings.Contains(w.Body.String(), "token\n")) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if c.opens && (!strings.HasPrefix(l.events[0].Data.By, "token-") || strings.Contains(l.events[0].Data.By, "new")) {
				t.Errorf("by %s", l.events[0].Data.By)
			}
		})
	}
}

func TestWithoutATokenItAnswersToNoForeignName(t *testing.T) {
	h, _ := bed("")
	for host, want := range map[string]int{"localhost:8081": 200, "[::1]:8081": 200, "127.0.0.1": 200, "evil.example.com": 403, "evil.example.com:8081": 403, "": 403} {
		if w := ask(h, http.MethodGet, Path+"rec-1", "Host", host); w.Code != want {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}

func TestAReadThatCannotBeAuditedIsRefused(t *testing.T) {
	h, l := bed("")
	l.err = errors.New("full")
	if w := ask(h, http.MethodGet, Path+"rec-1"); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "pending") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
