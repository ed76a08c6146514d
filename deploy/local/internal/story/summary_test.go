package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// proved is the summary of a story that went well.
func proved() *Summary {
	return &Summary{
		Config: Config{Recordings: 2, Forged: 1}, Bytes: 3e6, Dead: "dead",
		Stores: outside.Report{Copies: map[string]outside.Copies{
			"primary": {Recordings: 2, Bytes: 3e6}, "backup": {Recordings: 2, Bytes: 3e6},
		}},
		Letters: []fleet.Letter{
			{Tier: "backup", IdempotencyKey: "dead", Reason: "source_gone"}, {Tier: "primary", IdempotencyKey: "dead", Reason: "source_gone"},
		},
		Outage:  Outage{Lasted: 10 * time.Second, Backup: 1, BackupBytes: 1e6},
		Seconds: []float64{3, 1},
		Report:  platform.Report{Accepted: 3, Duplicate: 1, Refused: 1, ForgedRefused: 1},
	}
}

func TestAStoryThatWentWellIsProved(t *testing.T) {
	var out strings.Builder
	if s := proved(); !s.Write(&out) {
		t.Errorf("problems: %v", s.Problems())
	}
	for _, want := range []string{
		"recordings               2, 3.0 MB", "copies in backup         2, 3.0 MB", "2: source_gone (dead) in backup and primary",
		"p50 1.0 s, p99 3.0 s", "backup stored 1 (1.0 MB), primary 0", "PROVED: all 2 recordings",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it says:\n%s\nwant %q among it", out.String(), want)
		}
	}
}

func TestWhatWentWrongIsNotProved(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*Summary)
		want  string
	}{
		{"a finding", func(s *Summary) {
			s.Stores.Findings = []outside.Finding{{Store: "primary", Key: "k", Kind: outside.Versions, Detail: "two"}}
		}, "versions primary k: two"},
		{"a copy less", func(s *Summary) { s.Stores.Copies["backup"] = outside.Copies{Recordings: 1} }, "backup has 1 sound copies, want 2"},
		{"a record", func(s *Summary) { s.Records = []string{"a is partial"} }, "a is partial"},
		{"a letter of another recording", func(s *Summary) {
			s.Letters = append(s.Letters, fleet.Letter{Tier: "primary", IdempotencyKey: "a", Reason: "source_gone"})
		}, "unexpected dead letter: a in primary"},
		{"a letter of another reason", func(s *Summary) { s.Letters[0].Reason = "digest_conflict" }, "unexpected dead letter: dead in backup"},
		{"a letter twice", func(s *Summary) { s.Letters = append(s.Letters, s.Letters[0]) }, "unexpected dead letter: dead in backup"},
		{"no letter", func(s *Summary) { s.Letters = s.Letters[:1] }, "no dead letter in primary"},
		{"a webhook lost", func(s *Summary) { s.Report.Accepted-- }, "2 webhooks were accepted as new, want 3"},
		{"a webhook unanswered", func(s *Summary) { s.Report.Failed++ }, "1 webhooks got no good answer"},
		{"a forgery taken", func(s *Summary) { s.Report.ForgedTaken, s.Report.ForgedRefused = 1, 0 }, "1 forged webhooks were taken"},
		{"a good webhook refused", func(s *Summary) { s.Report.Refused++ }, "1 webhooks that were not forged were refused"},
		{"no duplicate", func(s *Summary) { s.Report.Duplicate = 0 }, "no duplicate was absorbed"},
		{"backup waited", func(s *Summary) { s.Outage.Backup = 0 }, "backup stored nothing"},
		{"S3 was not away", func(s *Summary) { s.Outage.Primary = 1 }, "primary is said to have stored 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := proved()
			c.spoil(s)
			var out strings.Builder
			if s.Write(&out) || !strings.Contains(out.String(), "NOT PROVED") || !strings.Contains(out.String(), c.want) {
				t.Errorf("it says:\n%s\nwant %q among it", out.String(), c.want)
			}
		})
	}
}

func TestSizesAreThoseOfTheStory(t *testing.T) {
	sizes := Sizes(Demo().Recordings, Demo().Largest, Demo().Seed)
	var sum int64
	for _, n := range sizes {
		sum += n
	}
	if lo, hi := slices.Min(sizes), slices.Max(sizes); len(sizes) != 60 || lo != 200_000 || hi != 300_000_000 || sum > 1_500_000_000 {
		t.Errorf("%d recordings of %d to %d bytes, %d in all", len(sizes), lo, hi, sum)
	}
	if !slices.Equal(sizes, Sizes(60, 300_000_000, Demo().Seed)) {
		t.Error("equal seeds give other sizes")
	}
}

func TestLinesReportNowAndThenAndOnlyWhatChanged(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	l := &lines{out: &out, start: now, now: func() time.Time { return now }}
	state := func(answered int64) State {
		return State{Answered: answered, Webhooks: 9, Recordings: 8, Have: map[string]int{"primary": 3}, Bytes: map[string]int64{"primary": 2e6}}
	}
	for _, step := range []struct {
		after time.Duration
		state State
	}{{0, state(1)}, {time.Second, state(2)}, {3 * time.Second, state(2)}, {3 * time.Second, state(2)}, {time.Minute, State{Read: 5e5, Total: 2e6}}} {
		now = now.Add(step.after)
		l.Show(step.state)
	}
	l.Say("S3 is %s", "DOWN")
	want := `00:00.0    webhooks answered 1/9, primary 3/8 (2.0 MB), backup 0/8 (0.0 KB)
00:04.0    webhooks answered 2/9, primary 3/8 (2.0 MB), backup 0/8 (0.0 KB)
01:07.0    read back 500.0 KB of 4.0 MB
01:07.0  S3 is DOWN
`
	if out.String() != want {
		t.Errorf("it printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestBarsGoOnSayingAfterTheyAreClosed(t *testing.T) {
	var out strings.Builder
	b := NewScreen(&out, true)
	b.Show(State{Answered: 1, Webhooks: 2, Total: 10, Bytes: map[string]int64{"primary": 10}})
	b.Close()
	b.Close()
	b.Show(State{})
	b.Say("the end")
	if !strings.HasSuffix(out.String(), "the end\n") {
		t.Errorf("it printed %q", out.String())
	}
}

func TestWatchCountsACopyOnceAndByTier(t *testing.T) {
	w := &Watch{copies: map[string]map[string]Copy{"primary": {}, "backup": {}}, changed: make(chan struct{})}
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, e := range []struct{ subject, body string }{
		{"audit.stored.primary", `{"time":"2026-11-23T10:00:00Z","data":{"idempotencyKey":"a","size":5}}`},
		{"audit.already_present.primary", `{"time":"2026-11-23T10:00:09Z","data":{"idempotencyKey":"a","size":5}}`},
		{"audit.stored.backup", `{"time":"2026-11-23T10:00:02Z","data":{"idempotencyKey":"a","size":5}}`},
		{"audit.stored.backup", `no event`},
		{"audit.stored.all", `{"data":{"idempotencyKey":"b"}}`},
	} {
		w.note(e.subject, []byte(e.body))
	}
	if n, bytes := w.Count("primary"); n != 1 || bytes != 5 {
		t.Errorf("primary has %d recordings, %d bytes", n, bytes)
	}
	if c, ok := w.Copy("primary", "a"); !ok || !c.At.Equal(at) {
		t.Errorf("the first copy is %+v", c)
	}
	if n, _ := w.Between("backup", at, at.Add(2*time.Second)); n != 1 {
		t.Errorf("backup got %d in that time, want 1", n)
	}
	if n, _ := w.Between("backup", at.Add(2*time.Second), at.Add(time.Minute)); n != 0 {
		t.Errorf("backup got %d afterwards, want 0", n)
	}
}
