package capacity

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Load is what is planned for.
type Load struct {
	PerDay  int64          // recordings
	Kept    int64          // recordings that each store holds
	Size    settings.Bytes // of a recording, on average
	Peak    float64        // of the busiest hour, times the mean one
	Latency time.Duration  // until a store or a source answers a small request
	Tokens  bool           // media count against the platform's API: its hosts take its token
}

// Setup is how the fleet is set up, as far as it counts here.
type Setup struct {
	MaxAge       time.Duration  // TWINREEL_RECORDINGS_MAX_AGE
	LedgerTTL    time.Duration  // TWINREEL_LEDGER_TTL
	Interval     time.Duration  // TWINREEL_RECONCILE_INTERVAL
	Full         time.Duration  // TWINREEL_FULL_INTERVAL
	ScrubPeriod  time.Duration  // TWINREEL_SCRUB_PERIOD
	ScrubBudget  settings.Bytes // TWINREEL_SCRUB_BYTES_PER_HOUR
	Replicas     int            // TWINREEL_NATS_REPLICAS
	Concurrency  int            // TWINREEL_CONCURRENCY
	RequestLimit int            // TWINREEL_PRIMARY_REQUEST_LIMIT
	LimitShare   float64        // TWINREEL_PRIMARY_LIMIT_SHARE
	PlatformRate int            // TWINREEL_PLATFORM_RATE
	Peer         queue.Peer     // TWINREEL_PEER_DOMAIN: its streams are mirrored
}

// What a Load is where nobody says otherwise: three minutes of speech; a busiest hour of an eighth of the day; what S3
// documents for small objects, and the benchmark's rows far away play.
const (
	UsualSize    = 1 << 20
	UsualPeak    = 3
	UsualLatency = 100 * time.Millisecond
)

// What a Load must be within. ErrPerDay says so of the recordings a day.
var (
	ErrKept    = errors.New("want 0 to 10000000000000 recordings")
	ErrSize    = errors.New("want 1 byte to 5120GiB")
	ErrPeak    = errors.New("want 1 to 24 times the mean hour")
	ErrLatency = errors.New("want 1ms to 10s")
)

// Bounds of a Load.
const (
	maxKept    = 10_000_000_000_000
	maxSize    = 5120 << 30
	maxPeak    = 24
	maxLatency = 10 * time.Second
)

// Check says what of it cannot be planned for.
func (l Load) Check() error {
	switch {
	case l.PerDay < 1 || l.PerDay > MostPerDay:
		return ErrPerDay
	case l.Kept < 0 || l.Kept > maxKept:
		return ErrKept
	case l.Size < 1 || l.Size > maxSize:
		return ErrSize
	case !(l.Peak >= 1 && l.Peak <= maxPeak):
		return ErrPeak
	case l.Latency < time.Millisecond || l.Latency > maxLatency:
		return ErrLatency
	}
	return nil
}

// Plan is what a load needs. Rates are a second's, sizes bytes, times seconds, unless said otherwise.
type Plan struct {
	PerDay    int64   `json:"perDay"`
	Kept      int64   `json:"kept"`
	Size      int64   `json:"size"`
	Peak      float64 `json:"peakFactor"`
	LatencyMS int64   `json:"latencyMs"`
	Rate      float64 `json:"rate"`     // recordings a second, mean
	PeakRate  float64 `json:"peakRate"` // in the busiest hour

	Programs map[string]Program `json:"programs"`
	Streams  map[string]int64   `json:"streams"`
	NATS     NATS               `json:"nats"`
	Redis    Redis              `json:"redis"`
	Network  Network            `json:"network"`
	Log      Log                `json:"log"`
	Scrub    Scrub              `json:"scrub"`

	Disk      int64      `json:"disk"` // of temporary files of a full run, at most
	FullRun   Run        `json:"fullRun"`
	Hourly    Run        `json:"hourlyRun"`
	Requests  []Requests `json:"requests"` // a day's, by what makes them
	Day       Requests   `json:"day"`      // and all of them
	PeakS3    [2]float64 `json:"peakS3"`   // requests a second in the busiest hour: writes, reads and lists
	PeakAzure float64    `json:"peakAzure"`

	Limits  []Limit  `json:"limits"` // in the order in which they are hit when recordings a day grow
	First   *Limit   `json:"firstLimit"`
	Hard    *Limit   `json:"firstHardLimit"` // the first that no setting moves, nor a larger machine
	Figures []Figure `json:"figures"`
}

// Program is how many of a program there must be.
type Program struct {
	Each    float64 `json:"each"`    // recordings, or webhooks, a second of one
	Bound   string  `json:"bound"`   // what bounds it: latency, cpu, line or stream
	PerZone int     `json:"perZone"` // in each zone, so that the other may be lost at the peak
	Total   int     `json:"total"`
	Memory  int64   `json:"memory,omitempty"` // of all of them, at most
}

// NATS is what the queue carries.
type NATS struct {
	Messages  float64 `json:"messages"`  // requests and publishes in the busiest hour
	Audit     float64 `json:"audit"`     // messages a second that AUDIT, the busiest stream, must sync then
	Synced    float64 `json:"synced"`    // messages a second that all streams and buckets must
	Entries   int64   `json:"entries"`   // digest entries alive in the busiest hour
	Digests   int64   `json:"digests"`   // bytes of them, and of the marks of freed ones
	Unfreed   int64   `json:"unfreed"`   // bytes of digest entries after seven days without a reconciler
	Tombs     int64   `json:"tombs"`     // bytes of tombstones, for ever
	Disk      int64   `json:"disk"`      // of each server: streams, entries without a reconciler, tombstones
	DiskTotal int64   `json:"diskTotal"` // of all replicas
	Memory    int64   `json:"memory"`    // of each server in the busiest hour: keys and message IDs that it knows
	// UnfreedMemory is likewise after seven days without a reconciler.
	UnfreedMemory int64 `json:"unfreedMemory"`
}

// Redis is what the ledger takes.
type Redis struct {
	Keys   int64 `json:"keys"`
	Memory int64 `json:"memory"` // of one node
}

// Network is bytes a second in the busiest hour.
type Network struct {
	In    float64 `json:"in"`    // from sources
	Out   float64 `json:"out"`   // to both stores
	Scrub float64 `json:"scrub"` // from both stores, as the period asks for
}

// Log is how the sealed log grows, in each store.
type Log struct {
	Leaves  int64 `json:"leaves"`  // a day
	Bytes   int64 `json:"bytes"`   // a day
	Objects int64 `json:"objects"` // a day
}

// Scrub is what reading back asks for.
type Scrub struct {
	PerHour int64   `json:"perHour"` // bytes that the period asks for
	Budget  int64   `json:"budget"`
	Days    float64 `json:"days"` // of a turn within the budget, as fast as one scrubber reads
}

// Run is what a run asks for, and how long it takes.
type Run struct {
	Requests
	Seconds  float64 `json:"seconds"`
	Listing  float64 `json:"listingSeconds"`  // of them, at least: lists, and their comparison
	Looking  float64 `json:"lookingSeconds"`  // closer looks
	Freeing  float64 `json:"freeingSeconds"`  // of digest entries
	Ordering float64 `json:"orderingSeconds"` // of the ledger
}

// For computes the plan. The streams' sizes are ForDay's.
func For(l Load, s Setup) (Plan, error) {
	if err := l.Check(); err != nil {
		return Plan{}, err
	}
	p, err := without(l, s)
	if err != nil {
		return Plan{}, err
	}
	if p.Limits, err = limits(l, s, p); err != nil {
		return Plan{}, err
	}
	p.First, p.Figures = &p.Limits[0], Figures()
	p.Hard = &p.Limits[slices.IndexFunc(p.Limits, Limit.hard)]
	return p, nil
}

// without is the plan but for its limits.
func without(l Load, s Setup) (Plan, error) {
	sizes, err := ForDay(l.PerDay, s.MaxAge, s.LedgerTTL)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		PerDay: l.PerDay, Kept: l.Kept, Size: int64(l.Size), Peak: l.Peak, LatencyMS: l.Latency.Milliseconds(), Rate: float64(l.PerDay) / day.Seconds(),
		Streams: map[string]int64{}, Disk: int64(Disk(l.Kept)),
	}
	for name, size := range streams(sizes, s.Peer) {
		p.Streams[name] = int64(size)
	}
	p.PeakRate = p.Rate * l.Peak
	p.Programs = programs(l, s, p.PeakRate)
	p.runs(l)
	p.Log = logOf(l.PerDay)
	p.scrub(l, s)
	p.requests(l, s)
	p.nats(l, s)
	kept := float64(l.PerDay) * days(s.LedgerTTL)
	p.Redis = Redis{Keys: whole(3 * kept), Memory: whole(kept * redisledger.RecordingBytes)}
	p.Network = Network{In: 2 * p.PeakRate * float64(l.Size), Out: 2 * p.PeakRate * float64(l.Size), Scrub: float64(p.Scrub.PerHour) / time.Hour.Seconds()}
	return p, nil
}

// nats fills in what the queue carries and keeps.
func (p *Plan) nats(l Load, s Setup) {
	n := &p.NATS
	n.Messages, n.Audit = p.PeakRate*natsTrips, p.PeakRate*auditEvents
	n.Synced = p.PeakRate * syncedMessages
	// An entry lives until the next run has freed it, its mark for an hour more.
	alive := p.PeakRate * (s.Interval.Seconds() + p.Hourly.Seconds)
	n.Entries = whole(alive)
	n.Digests = whole(alive*entryBytes + p.PeakRate*MarkLife.Seconds()*markBytes)
	n.Unfreed = whole(float64(l.PerDay) * days(withoutSealing) * entryBytes)
	n.Tombs = whole(float64(l.Kept) * forgottenShare * tombstoneBytes)
	n.Disk = max(n.Unfreed, n.Digests) + n.Tombs
	for _, b := range p.Streams {
		n.Disk += b
	}
	ids := p.PeakRate * (1 + auditEvents) * duplicates.Seconds() * idMemory
	n.Memory = whole(ids + (alive+p.PeakRate*MarkLife.Seconds())*keyMemory)
	n.UnfreedMemory = whole(ids + float64(l.PerDay)*days(withoutSealing)*keyMemory)
	n.DiskTotal = n.Disk * int64(max(1, s.Replicas))
}

// duplicates is for how long RECORDINGS and AUDIT know a message ID: their duplicate window, as package queue has it.
const duplicates = 10 * time.Minute

// syncedMessages is how many messages a recording makes that a stream must sync: its event, its audit events, and its digest
// entry with the mark that it was freed.
const syncedMessages = 1 + auditEvents + 2

// logOf is how the sealed log grows by so many recordings a day.
func logOf(perDay int64) Log {
	leaves := float64(perDay) * auditEvents
	return Log{whole(leaves), whole(leaves * leafBytes), whole(leaves*leafObjects) + checkpointsDay*edgeObjects}
}

// scrub fills in what reading back all copies of both tiers once in a period asks for.
func (p *Plan) scrub(l Load, s Setup) {
	all := 2 * float64(l.Kept) * float64(l.Size)
	p.Scrub = Scrub{PerHour: whole(all / s.ScrubPeriod.Hours()), Budget: int64(s.ScrubBudget), Days: all / min(float64(s.ScrubBudget), scrubbed(l)) / day.Hours()}
}

// whole rounds up to a number that fits.
func whole(f float64) int64 {
	return int64(min(math.Ceil(f), math.MaxInt64/4))
}
