package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// planned asks for a plan as a program would.
func planned(t *testing.T, env map[string]string, args ...string) capacity.Plan {
	t.Helper()
	r := runWith(t, env, append([]string{"capacity", "-o", "json"}, args...)...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%v: %+v", args, r)
	}
	return decode[capacity.Plan](t, r.stdout)
}

// given numbers of recordings a day, when provision sizes the streams for them, then it is with the sizes that capacity says,
// also where the server then refuses them.
func TestProvisionSizesTheStreamsAsCapacitySays(t *testing.T) {
	for _, c := range []struct {
		perDay string
		code   int
	}{{"10000", 0}, {"1000000", 0}, {"100000000", 1}} {
		b := newBed(t)
		p := planned(t, b.env, "--per-day", c.perDay)
		r := b.wants(c.code, "sizes for "+c.perDay, "provision", "--per-day", c.perDay)
		said := ""
		for _, name := range []string{queue.Recordings, queue.DeadLetters, queue.Audit} {
			said += fmt.Sprintf(" %s %s,", name, settings.Bytes(p.Streams[name]))
			if c.code == 0 && b.maxBytes(name) != p.Streams[name] {
				t.Errorf("%s a day: %s has %d bytes, capacity says %d", c.perDay, name, b.maxBytes(name), p.Streams[name])
			}
		}
		if !strings.Contains(r.stderr, strings.TrimSuffix(said, ",")) {
			t.Errorf("%s a day: want%s in %s", c.perDay, said, r.stderr)
		}
	}
}

func TestCapacityGoesByTheSettingsAndByWhatItIsTold(t *testing.T) {
	usual := planned(t, nil, "--per-day", "40000")
	if usual.Kept != 40_000*2555 || usual.Size != 1<<20 || usual.Peak != 3 || usual.LatencyMS != 100 || usual.First == nil || usual.Hard == nil || len(usual.Figures) < 15 {
		t.Errorf("got %+v", usual)
	}
	told := planned(t, nil, "--per-day", "40000", "--kept", "1200000", "--size", "2MiB", "--peak", "6", "--latency", "50ms")
	if told.Kept != 1_200_000 || told.Size != 2<<20 || told.PeakRate != 2*usual.PeakRate || told.LatencyMS != 50 {
		t.Errorf("got %+v", told)
	}
	set := planned(t, map[string]string{
		"TWINREEL_RETENTION_DAYS": "10", "TWINREEL_LEDGER_TTL": "24h", "TWINREEL_RECORDINGS_MAX_AGE": "360h", "TWINREEL_SCRUB_BYTES_PER_HOUR": "1GiB",
		"TWINREEL_CONCURRENCY": "32", "TWINREEL_NATS_REPLICAS": "3",
	}, "--per-day", "40000")
	if set.Kept != 400_000 || set.Redis.Memory*7 != usual.Redis.Memory || set.Streams[queue.Recordings] >= usual.Streams[queue.Recordings] || set.Scrub.Budget != 1<<30 ||
		set.Programs["worker-primary"].Each != 2*usual.Programs["worker-primary"].Each || set.NATS.DiskTotal != 3*set.NATS.Disk {
		t.Errorf("got %+v", set)
	}
}

func TestCapacityTellsPeopleWhatIsHitAndWhatToChange(t *testing.T) {
	r := runWith(t, nil, "capacity", "--per-day", "1000000")
	for _, want := range []string{
		"WHAT COMES\n", "PROGRAMS", "NATS\n", "REDIS\n", "REQUESTS A DAY\n", "LINES", "RECONCILER\n", "MEASURED", "LIMITS", "FIRST LIMIT\n  bytes read back in an hour: ",
		"WHAT TO CHANGE\n  bytes read back in an hour: TWINREEL_SCRUB_BYTES_PER_HOUR to ", "! Redis's memory ", "  bytes of an event ", "The first that no setting moves",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	short := runWith(t, nil, "capacity", "--per-day", "1000", "--kept", "1000", "--figures=false").stdout
	if strings.Contains(short, "MEASURED") || !strings.Contains(short, "None is hit. At ") || strings.Contains(short, "! ") {
		t.Errorf("got\n%s", short)
	}
}

func TestCapacityNamesWhatCannotBePlanned(t *testing.T) {
	for args, want := range map[string]string{
		"":                               "--per-day 0: want 1 to",
		"--per-day 1000000001":           "--per-day 1000000001: want 1 to",
		"--per-day many":                 `"many" for "--per-day"`,
		"--per-day 1 --kept -1":          "--kept -1: want 0",
		"--per-day 1 --size 0":           "--size 0: want 1 byte",
		"--per-day 1 --size much":        `--size "much": want a number of bytes`,
		"--per-day 1 --peak 0.5":         "--peak 0.5: want 1 to 24",
		"--per-day 1 --latency 0s":       "--latency 0s: want 1ms",
		"--per-day 1 --latency 1":        `"1" for "--latency"`,
		"--per-day 1 --kept 1 -o pretty": `-o "pretty"`,
	} {
		if r := runWith(t, nil, append([]string{"capacity"}, strings.Fields(args)...)...); r.code != 2 || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%q: want 2 and %q, got %+v", args, want, r)
		}
	}
	r := runWith(t, map[string]string{"TWINREEL_PRIMARY_LIMIT_SHARE": "2", "TWINREEL_CONCURRENCY": "0"}, "capacity", "--per-day", "1")
	if r.code != 2 || !strings.Contains(r.stderr, "TWINREEL_PRIMARY_LIMIT_SHARE: want") || !strings.Contains(r.stderr, "TWINREEL_CONCURRENCY: want") {
		t.Errorf("wrong settings: got %+v", r)
	}
}
