package chaos

import (
	"strings"
	"testing"
	"time"
)

func TestEveryRowHasANameOfItsOwnAndSaysWhatIsDone(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows(1) {
		if seen[r.Name] || r.Injected == "" || r.Seen == "" || r.play == nil || order(r.Group) < 0 {
			t.Errorf("row %q: twice %t, injected %q, seen %q, group %q", r.Name, seen[r.Name], r.Injected, r.Seen, r.Group)
		}
		seen[r.Name] = true
	}
	if len(seen) < 30 {
		t.Errorf("%d rows, want 30 at least", len(seen))
	}
}

func TestChoosingByTheBeginningsOfNames(t *testing.T) {
	rows, err := Choose([]string{"s3-40", "kill-ingress"}, true, 1)
	if err != nil || len(rows) != 3 {
		t.Errorf("%d rows, %v; want s3-403, s3-401 and kill-ingress", len(rows), err)
	}
	if _, err := Choose([]string{"s3-40", "nothing-so"}, false, 1); err == nil {
		t.Error("a word that no row begins with was taken")
	}
}

func TestTheDocumentShowsEveryRoundAndWhatWasWrong(t *testing.T) {
	row := Rows(1)[0]
	r := Report{Date: time.Now(), Rounds: 2, Results: []Result{
		{Row: row, Round: 1, Saw: []string{"16 recordings"}, Took: time.Second},
		{Row: row, Round: 2, Wrong: []string{"one | is\nmissing"}, Took: time.Second},
		{Row: Rows(1)[1], Round: 1, Absent: "this is not root"},
	}}
	var b strings.Builder
	r.Markdown(&b)
	for _, want := range []string{"| " + row.Name + " |", "**red** 1 of 2", "one \\| is missing", "not possible here: this is not root", "make chaos"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the document lacks %q:\n%s", want, b.String())
		}
	}
	if r.Green() {
		t.Error("a report with a red row is called green")
	}
}

func TestASlowedTierFallsShortOfItsBar(t *testing.T) {
	turn := func(rate float64, wait time.Duration) figures {
		return figures{rate: rate, webhooks: 100, waits: []time.Duration{wait}, answers: []time.Duration{time.Millisecond}}
	}
	rounds := []map[Condition]figures{{
		Well: turn(100, 10*time.Millisecond), Dead: turn(96, 10*time.Millisecond), Frozen: turn(90, 10*time.Millisecond), Throttling: turn(100, 20*time.Millisecond),
	}}
	for _, line := range compare("primary", rounds) {
		if want := line.Sibling == Well || line.Sibling == Dead; line.OK() != want {
			t.Errorf("beside a sibling that is %s: ok %t, want %t: %+v", line.Sibling, line.OK(), want, line)
		}
	}
}

func TestTheDocumentShowsWhatEachLossCost(t *testing.T) {
	var lost Row
	for _, r := range Rows(1) {
		if r.Name == "zone-lost-leading" {
			lost = r
		}
	}
	r := Report{Date: time.Now(), Rounds: 1, Results: []Result{
		{Row: Rows(1)[0], Round: 1},
		{Row: lost, Round: 2, Loss: &Loss{What: "zone a", Sent: 300, Refused: 68, Retries: 1, Again: 6700 * time.Millisecond, Step: 61 * time.Second, Waited: 64 * time.Second, Lost: 0}},
	}}
	var b strings.Builder
	r.Markdown(&b)
	if want := "| zone-lost-leading | 2 | zone a | 300 | 68 | 6.7 s | 1 | 61.0 s | 64.0 s | – | 0 |"; !strings.Contains(b.String(), want) {
		t.Errorf("the document lacks %q:\n%s", want, b.String())
	}
	r.Results = r.Results[:1]
	b.Reset()
	r.Markdown(&b)
	if strings.Contains(b.String(), "## Losses") {
		t.Error("a table of losses where nothing was lost")
	}
}
