package redisledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestForgetLeavesNothingOfTheRecordingAndAllOfTheOthers(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	lease := map[string]ledger.Lease{}
	for _, id := range []string{"rec-1", "west/rec-1", "rec-10", "rec"} {
		if _, err := w.Fail(ctx, id, tier.Primary, ledger.Message{Stream: "RECORDINGS", Sequence: 7}, ledger.Failure{Kind: "source_gone", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finished(ctx, id, tier.Backup, stored(tier.Backup)); err != nil {
			t.Fatal(err)
		}
		c, err := w.Claim(ctx, id, tier.Primary)
		if err != nil {
			t.Fatal(err)
		}
		if lease[id] = c.Lease; c.Lease.Opened(ctx, "upload-1") != nil {
			t.Fatal("no upload noted")
		}
	}
	before := len(w.keys(ctx, t))
	if err := w.Forget(ctx, "rec-1"); err != nil {
		t.Fatal(err)
	}
	left := w.keys(ctx, t)
	if len(left) != before-before/4 {
		t.Errorf("%d keys of %d are left", len(left), before)
	}
	for _, key := range left {
		if strings.Contains(key, ":{rec-1}:") {
			t.Errorf("%s is left", key)
		}
	}
	if err := lease["rec-1"].Renew(ctx); !errors.Is(err, ledger.ErrLost) {
		t.Errorf("who was at it still holds the claim: %v", err)
	}
	if err := lease["rec-10"].Renew(ctx); err != nil {
		t.Error(err)
	}
	if err := w.Forget(ctx, "rec-1"); err != nil {
		t.Errorf("again: %v", err)
	}
}
