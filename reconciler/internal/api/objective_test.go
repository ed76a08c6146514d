package api

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/objective"
)

func TestTheObjectiveIsToldByWhoMeasuresIt(t *testing.T) {
	h, log := bed("s3cret")
	token := []string{"Authorization", "Bearer s3cret"}
	if r := ask(h, http.MethodGet, ObjectivePath); r.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", r.Code)
	}
	if r := ask(h, http.MethodGet, ObjectivePath, token...); r.Code != http.StatusServiceUnavailable {
		t.Errorf("of nobody: %d", r.Code)
	}
	measured := false
	h.Objective = func() (objective.Report, bool) { return objective.Report{Goal: objective.Goal, Waiting: 7}, measured }
	if r := ask(h, http.MethodGet, ObjectivePath, token...); r.Code != http.StatusServiceUnavailable {
		t.Errorf("of one that does not lead: %d", r.Code)
	}
	measured = true
	var got objective.Report
	r := ask(h, http.MethodGet, ObjectivePath, token...)
	if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil || r.Code != http.StatusOK || got.Waiting != 7 || got.Goal != 0.9999 {
		t.Errorf("got %d %s", r.Code, r.Body)
	}
	if r := ask(h, http.MethodPost, ObjectivePath, token...); r.Code != http.StatusMethodNotAllowed || len(log.events) != 0 {
		t.Errorf("got %d, audited %d", r.Code, len(log.events))
	}
}
