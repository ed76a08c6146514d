package capacity

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// defaults is a fleet with all settings at their defaults.
func defaults() Setup {
	return Setup{
		MaxAge: month, LedgerTTL: week, Interval: time.Hour, Full: day, ScrubPeriod: month, ScrubBudget: 10 << 30, Replicas: 3,
		Concurrency: 16, RequestLimit: 3500, LimitShare: 0.5, PlatformRate: 10,
	}
}

// load is n recordings a day, each as usual, of which the stores hold ten days'.
func load(n int64) Load {
	return Load{PerDay: n, Kept: 10 * n, Size: UsualSize, Peak: UsualPeak, Latency: UsualLatency}
}

func planned(t *testing.T, l Load, s Setup) Plan {
	t.Helper()
	p, err := For(l, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func near(got, want float64) bool { return math.Abs(got-want) <= 0.01*math.Abs(want) }

// Reckoned by hand: 864,000 a day are 10 a second, 30 in the busiest hour.
func TestAPlansArithmetic(t *testing.T) {
	p := planned(t, load(864_000), defaults())
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean rate", p.Rate, 10},
		{"rate at the peak", p.PeakRate, 30},
		{"one worker: 16 slots, 4.32 × 100 ms and a fortieth of a second each", p.Programs["worker-primary"].Each, 16 / (0.432 + 0.025)},
		{"workers in a zone: 30 ÷ (35 × 0.72), rounded up", float64(p.Programs["worker-backup"].PerZone), 2},
		{"workers in both", float64(p.Programs["worker-backup"].Total), 4},
		{"their memory", float64(p.Programs["worker-backup"].Memory), 4 * 177 << 20},
		{"ingresses in a zone", float64(p.Programs[Ingress].PerZone), 1},
		{"messages of NATS: 12 each", p.NATS.Messages, 360},
		{"audit events: 3.2 each", p.NATS.Audit, 96},
		{"synced: event, audit events, entry, mark", p.NATS.Synced, 30 * 6.2},
		{"hourly run: 36,000 × (6 × 0.1 s ÷ 16 + 4 × 0.1 s ÷ 8)", p.Hourly.Seconds, 36_000 * (0.0375 + 0.05)},
		{"entries alive: 30 a second for an hour and that", float64(p.NATS.Entries), 30 * (3600 + 3150)},
		{"entries without a reconciler: 7 days' of 1,300 bytes", float64(p.NATS.Unfreed), 7 * 864_000 * 1300},
		{"NATS's memory: IDs of 10 minutes, keys alive, marks of an hour", float64(p.NATS.Memory), 30*4.2*600*190 + 30*(6750+3600)*650},
		{"after a week: 7 days' keys", float64(p.NATS.UnfreedMemory), 30*4.2*600*190 + 7*864_000*650},
		{"Redis: 7 days' of 1,800 bytes", float64(p.Redis.Memory), 7 * 864_000 * 1800},
		{"keys: 3 each", float64(p.Redis.Keys), 3 * 7 * 864_000},
		{"from sources: 30 × 2 × 1 MiB", p.Network.In, 60 << 20},
		{"log: 3.2 × 1,350 bytes", float64(p.Log.Bytes), 864_000 * 3.2 * 1350},
		{"log's objects: 3.2 ÷ 80, and 6 for each checkpoint", float64(p.Log.Objects), 864_000*3.2*0.0125 + 288*6},
		{"scrub: 2 × 8,640,000 × 1 MiB in 720 hours", float64(p.Scrub.PerHour), 2 * 8_640_000 * (1 << 20) / 720},
		{"a turn: at 10 GiB an hour", p.Scrub.Days, 2 * 8_640_000 / (10 * 1024) / 24.0},
		{"full run: sorting", p.FullRun.Ordering, 8_640_000.0 / 173_000},
		{"full run: 17,280 pages of S3, four at once, 0.25 s each", p.FullRun.Listing, 17_280 * 0.25 / 4},
		{"full run: looks at a thirtieth", p.FullRun.Looking, 288_000 * 0.0375},
		{"writes into S3 in a second of the peak", p.PeakS3[0], 30*2 + 3*float64(p.Log.Objects)/86_400},
		{"puts into S3 a day", float64(p.Day.S3Writes), 2*864_000 + float64(p.Log.Objects)},
		{"reads of S3 a day", float64(p.Day.S3Reads), 0.3*864_000 + 23*36_000*5 + 288_000*3 + float64(p.Log.Objects) + 8_640_000*2/30},
		{"lists of S3 a day", float64(p.Day.S3Lists), 17_280},
		{"lists of Azure a day", float64(p.Day.AzureLists), 3456},
	} {
		if !near(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// What the benchmark measured must come out of the arithmetic that was made of it.
func TestAWorkersRateIsWhatWasMeasured(t *testing.T) {
	for _, c := range []struct {
		name      string
		size      int64
		latency   time.Duration
		slots     int
		low, high float64
		bound     string
	}{
		{"scale-2-far: 64 KiB, 100 ms there and back: 37.0/s", 64 << 10, 100 * time.Millisecond, 16, 36, 38, byLatency},
		{"copy-2GiB-far: 3.08 streams of 40 MiB/s", 2 << 30, 100 * time.Millisecond, 16, 123.0 / 2048 * 0.99, 123.4 / 2048 * 1.01, byLine},
		{"copy-20MiB-sinks: 30 ms of CPU each", 20 << 20, time.Millisecond, 16, 28, 34, byCPU},
		{"copy-1MiB-sinks: 2.6 ms of CPU each, reckoned with 4", 1 << 20, time.Millisecond, 16, 220, 400, byCPU},
		{"twice the slots, twice the rate", 64 << 10, 100 * time.Millisecond, 32, 72, 76, byLatency},
	} {
		l := load(1)
		l.Latency, l.Size = c.latency, settings.Bytes(c.size)
		got, bound := workerRate(l, c.slots)
		if got < c.low || got > c.high || bound != c.bound {
			t.Errorf("%s: got %.3f bound by %s, want %.3f to %.3f by %s", c.name, got, bound, c.low, c.high, c.bound)
		}
	}
}

func TestWritesOfARecording(t *testing.T) {
	for _, c := range []struct {
		size      int64
		s3, azure float64
	}{{1, 2, 2}, {8 << 20, 2, 2}, {8<<20 + 1, 6, 4}, {64 << 20, 12, 10}} {
		if s3, azure := writes(settings.Bytes(c.size)); s3 != c.s3 || azure != c.azure {
			t.Errorf("%d bytes: got %v and %v, want %v and %v", c.size, s3, azure, c.s3, c.azure)
		}
	}
}

// provision takes its sizes from ForDay: a plan must have the same.
func TestAPlansStreamsAreProvisionsSizes(t *testing.T) {
	for _, n := range []int64{10_000, 1_000_000, 100_000_000} {
		s := defaults()
		sizes, err := ForDay(n, s.MaxAge, s.LedgerTTL)
		if err != nil {
			t.Fatal(err)
		}
		p := planned(t, load(n), s)
		for name, want := range map[string]int64{queue.Recordings: int64(sizes.Recordings), queue.DeadLetters: int64(sizes.Letters), queue.Audit: int64(sizes.Audit)} {
			if p.Streams[name] != want {
				t.Errorf("%d a day: %s has %d, want %d", n, name, p.Streams[name], want)
			}
		}
		if p.NATS.DiskTotal != 3*p.NATS.Disk {
			t.Errorf("three replicas of %d take %d", p.NATS.Disk, p.NATS.DiskTotal)
		}
	}
}

func TestALimitIsHitFromTheNumberOnThatItNames(t *testing.T) {
	const n = 1_000_000
	p := planned(t, load(n), defaults())
	if len(p.Limits) < 15 {
		t.Fatalf("%d limits", len(p.Limits))
	}
	before := int64(0)
	for _, l := range p.Limits {
		if l.Hit() != (l.At > 0 && l.At <= n) {
			t.Errorf("%s: %v taken of it, hit at %d", l.Name, l.Share, l.At)
		}
		if l.At > 0 && l.At < before || l.At == 0 && l.Name != "bytes of an event" {
			t.Errorf("%s is hit at %d, and stands behind one that is at %d", l.Name, l.At, before)
		}
		before = l.At
		for at, want := range map[int64]bool{l.At - 1: false, l.At: true} {
			if l.At <= 1 {
				continue
			}
			for _, again := range planned(t, load(at), defaults()).Limits {
				if again.Name == l.Name && again.Hit() != want {
					t.Errorf("%s: at %d a day hit is %v", l.Name, at, again.Hit())
				}
			}
		}
		if l.Change == "" || l.From == "" || strings.Contains(l.Change, "{") {
			t.Errorf("%s: from %q, change %q", l.Name, l.From, l.Change)
		}
	}
	if p.First.Name != p.Limits[0].Name || p.Hard.Kind == Setting || p.Hard.Kind == Deployment {
		t.Errorf("first %s, first that no setting moves %s by %s", p.First.Name, p.Hard.Name, p.Hard.Kind)
	}
}

// What is set moves its limit, and nothing else's order of things.
func TestASettingMovesItsLimit(t *testing.T) {
	at := func(l Load, s Setup, name string) int64 {
		for _, one := range planned(t, l, s).Limits {
			if one.Name == name {
				return one.At
			}
		}
		t.Fatalf("no limit %q", name)
		return 0
	}
	base := defaults()
	for _, c := range []struct {
		name string
		set  func(*Load, *Setup)
		grow float64
	}{
		{"bytes read back in an hour", func(_ *Load, s *Setup) { s.ScrubBudget *= 4 }, 4},
		{"bytes read back in an hour", func(l *Load, _ *Setup) { l.Size /= 2 }, 2},
		{"S3 writes at the peak", func(_ *Load, s *Setup) { s.RequestLimit *= 2 }, 2},
		{"S3 writes at the peak", func(l *Load, _ *Setup) { l.Peak = 6 }, 0.5},
		{"workers of a tier", func(_ *Load, s *Setup) { s.Concurrency *= 2 }, 2},
		{"platform's API at the peak", func(l *Load, _ *Setup) { l.Tokens = true }, 0.01 / 1.01},
		{"time of a run over what is new", func(l *Load, _ *Setup) { l.Latency /= 2 }, 2},
		{"Redis's memory", func(_ *Load, s *Setup) { s.LedgerTTL /= 7 }, 7},
		{"AUDIT's messages at the peak", func(_ *Load, s *Setup) { s.Replicas = 1 }, 4000.0 / 6400},
		{"S3 reads and lists at the peak", func(l *Load, s *Setup) { l.Kept, s.Full = 10*l.Kept, 10*s.Full; s.ScrubPeriod *= 10 }, 1},
		{"temporary files of a full run", func(l *Load, _ *Setup) { l.Kept *= 2 }, 0.5},
	} {
		l, s := load(1_000_000), base
		was := at(l, s, c.name)
		c.set(&l, &s)
		if got := at(l, s, c.name); !near(float64(got), float64(was)*c.grow) {
			t.Errorf("%s: was hit at %d, now at %d, want %v times as many", c.name, was, got, c.grow)
		}
	}
}

func TestALoadThatCannotBePlannedIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Load)
		want error
	}{
		{"none", func(l *Load) { l.PerDay = 0 }, ErrPerDay},
		{"too many", func(l *Load) { l.PerDay = MostPerDay + 1 }, ErrPerDay},
		{"fewer than none kept", func(l *Load) { l.Kept = -1 }, ErrKept},
		{"no size", func(l *Load) { l.Size = 0 }, ErrSize},
		{"a peak below the mean", func(l *Load) { l.Peak = 0.9 }, ErrPeak},
		{"no number", func(l *Load) { l.Peak = math.NaN() }, ErrPeak},
		{"no latency", func(l *Load) { l.Latency = 0 }, ErrLatency},
	} {
		l := load(1)
		if c.set(&l); !errors.Is(errorOf(For(l, defaults())), c.want) {
			t.Errorf("%s: want %v", c.name, c.want)
		}
	}
}

func errorOf(_ Plan, err error) error { return err }

// A plan for the most that is taken must hold no number that has overflowed.
func TestTheLargestPlanHasNoNumberBelowNought(t *testing.T) {
	l := Load{PerDay: MostPerDay, Kept: maxKept, Size: maxSize, Peak: maxPeak, Latency: maxLatency}
	p := planned(t, l, defaults())
	for name, n := range map[string]int64{
		"disk": p.Disk, "NATS": p.NATS.DiskTotal, "Redis": p.Redis.Memory, "scrub": p.Scrub.PerHour, "reads": p.Day.S3Reads, "writes": p.Day.S3Writes, "log": p.Log.Bytes,
	} {
		if n <= 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
}

// What is said of deploy/kubernetes must be in it.
func TestTheManifestsGiveWhatIsPlannedWith(t *testing.T) {
	root := filepath.Join("..", "..", "..", "deploy", "kubernetes")
	for _, c := range []struct{ file, pattern, want string }{
		{"components/keda/scale-by-backlog.yaml", `maxReplicaCount: (\d+)`, Grouped(mostWorkers)},
		{"overlays/production/kustomization.yaml", `\{name: ingress, count: (\d+)\}`, Grouped(ingresses)},
		{"base/reconciler/reconciler.yaml", `emptyDir: \{sizeLimit: (\d+)Gi\}`, Grouped(reconcileDisk >> 30)},
		{"overlays/production/redis.yaml", `maxmemory (\d+)mb`, strings.ReplaceAll(Grouped(redisMemory>>20), ",", "")},
		{"overlays/production/nats-values.yaml", `limits: \{memory: (\d+)Gi\}`, Grouped(natsMemory >> 30)},
		{"overlays/production/nats-values.yaml", `maxSize: (\d+)Gi`, Grouped(natsDisk >> 30)},
	} {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(c.file)))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(string(b), -1)
		if len(found) == 0 {
			t.Errorf("%s has no %s", c.file, c.pattern)
		}
		for _, one := range found {
			if one[1] != c.want {
				t.Errorf("%s: %s, planned with %s", c.file, one[0], c.want)
			}
		}
	}
}

func TestAmountsForPeople(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Bytes, 0, "0 B"},
		{Bytes, 1 << 20, "1 MiB"},
		{Bytes, 1.5 * (1 << 40), "1.50 TiB"},
		{Bytes, 1 << 80, "1,048,576 EiB"},
		{Seconds, 0.5, "0.50 s"},
		{Seconds, 600, "10.0 min"},
		{Seconds, 36_000, "10.0 h"},
		{Seconds, 864_000, "10.0 days"},
		{PerSecond, 1234.4, "1,234/s"},
		{BitsPerSecond, 25e9, "25.0 Gbit/s"},
		{Share, 0.123, "12.3 %"},
		{Count, 4, "4"},
		{Count, 0.004, "0.004"},
	} {
		if got := c.unit.Text(c.v); got != c.want {
			t.Errorf("%v %s: got %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	if got := Grouped(-1_234_567); got != "-1,234,567" {
		t.Errorf("got %s", got)
	}
}
