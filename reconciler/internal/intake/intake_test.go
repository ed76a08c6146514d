package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
)

// webhook returns a body of the default profile.
func webhook(id string) string {
	return `{"event":"RECORDING_COMPLETED","recordingId":"` + id + `","mediaFormat":"wav","duration":1,"participants":[{"id":"p","name":"Ada"}],"mediaUrl":"https://cdn.example.com/a"}`
}

// publisher keeps what it is given; what fails is named by its recording ID.
type publisher struct {
	events []event.Event
	fails  map[string]error
	twice  map[string]bool
}

func (p *publisher) Completed(_ context.Context, r queue.Route, e event.Event, _ string) (bool, error) {
	if err := p.fails[e.Data.RecordingID]; err != nil {
		return false, err
	}
	if r == queue.Both {
		p.events = append(p.events, e)
	}
	return p.twice[e.Data.RecordingID], nil
}

func importer(p *publisher) *Importer {
	return &Importer{
		Source: "emea", Participants: profile.ParticipantsIDs, Publisher: p, Rate: rate.NewLimiter(rate.Inf, 1), Now: time.Now, Step: func(Result) {},
		Known: func(_ context.Context, key string) (bool, error) { return key == "emea/known", nil },
	}
}

func TestEachLineIsHeldToTheRulesOfIngress(t *testing.T) {
	p := &publisher{twice: map[string]bool{"came-meanwhile": true}}
	r, err := importer(p).Run(t.Context(), strings.NewReader(strings.Join([]string{
		webhook("rec-1"), "", "  " + webhook("known") + "\r", `{"event":"RECORDING_STARTED"}`, "hello", webhook("rec-1"), webhook("../etc"),
		webhook("rec-2")[:20], strings.Repeat("x", MaxLine+1), webhook("came-meanwhile"), webhook("rec-3"),
	}, "\n")))
	if err != nil || r.Accepted != 2 || r.Known != 3 || r.Ignored != 1 || r.Refused != 4 {
		t.Fatalf("got %+v, %v", r, err)
	}
	for i, want := range []struct {
		line int
		text string
	}{{5, "not JSON"}, {7, "recordingId"}, {8, "not JSON"}, {9, "longer"}} {
		if got := r.Refusals[i]; got.Line != want.line || !strings.Contains(got.Reason, want.text) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if len(p.events) != 3 || p.events[0].Data.IdempotencyKey != "emea/rec-1" || p.events[2].Data.RecordingID != "rec-3" {
		t.Errorf("published %+v", p.events)
	}
	if got := p.events[0].Data.Participants[0]; len(got) != 1 || got["id"] != "p" {
		t.Errorf("kept of the participant: %v", got)
	}
}

func TestADryRunPublishesNothingAndCountsTheSame(t *testing.T) {
	m := importer(nil)
	m.Publisher = nil
	r, err := m.Run(t.Context(), strings.NewReader(webhook("rec-1")+"\n"+webhook("known")+"\n"+webhook("rec-1")+"\n"))
	if err != nil || r.Accepted != 1 || r.Known != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAStreamThatDoesNotConfirmEndsTheImportAndNamesTheLine(t *testing.T) {
	away := errors.New("away")
	p := &publisher{fails: map[string]error{"rec-2": away, "large": fmt.Errorf("%w: 9 bytes", queue.ErrTooLarge)}}
	r, err := importer(p).Run(t.Context(), strings.NewReader(strings.Join([]string{webhook("large"), webhook("rec-1"), webhook("rec-2"), webhook("rec-3")}, "\n")))
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "line 3") || r.Accepted != 1 || r.Refused != 1 || len(p.events) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestWhoDoesNotAnswerEndsTheImport(t *testing.T) {
	m := importer(&publisher{})
	m.Known = func(context.Context, string) (bool, error) { return false, errors.New("away") }
	if r, err := m.Run(t.Context(), strings.NewReader(webhook("rec-1"))); err == nil || r.Accepted != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func FuzzLinesAreReadWhole(f *testing.F) {
	f.Add("a\n\nb", uint8(3))
	f.Fuzz(func(t *testing.T, text string, _ uint8) {
		r, err := importer(&publisher{}).Run(t.Context(), strings.NewReader(text))
		lines := 0
		for _, l := range strings.Split(text, "\n") {
			if strings.TrimSpace(l) != "" {
				lines++
			}
		}
		if err != nil || r.Accepted+r.Known+r.Ignored+r.Refused > lines {
			t.Errorf("got %+v of %d lines, %v", r, lines, err)
		}
	})
}
