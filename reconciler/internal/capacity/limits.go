package capacity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Kind says who sets a limit.
type Kind string

// The kinds of limit.
const (
	Setting    Kind = "setting"    // one of Twinreel's
	Deployment Kind = "deployment" // what deploy/kubernetes gives it
	Provider   Kind = "provider"   // documented by whoever provides it
	Queue      Kind = "queue"      // what NATS does, as measured or set
	Code       Kind = "program"    // how the programs are written
)

// Limit is something of which there is only so much.
type Limit struct {
	Name   string  `json:"name"`
	Kind   Kind    `json:"kind"`
	Need   float64 `json:"need"`
	Of     float64 `json:"of"`
	Unit   Unit    `json:"unit"`
	Share  float64 `json:"share"`  // Need by Of; above 1 it is hit
	At     int64   `json:"at"`     // the recordings a day from which it is hit, all else as it is; 0: never within a billion
	From   string  `json:"from"`   // where Of is set or documented
	Change string  `json:"change"` // what to change
}

// Hit reports whether it is.
func (l Limit) Hit() bool { return l.Share > 1 }

// rule is a limit before it is reckoned. "{need}" in its change is what is needed.
type rule struct {
	name   string
	kind   Kind
	unit   Unit
	from   string
	change string
	of     float64
	need   func(l Load, p Plan) float64
}

// hard reports whether no setting, and no larger machine, moves it.
func (l Limit) hard() bool { return l.Kind == Provider || l.Kind == Queue || l.Kind == Code }

// limits returns all limits, the one that is hit first before the others.
func limits(l Load, s Setup, p Plan) ([]Limit, error) {
	var out []Limit
	for _, r := range rules(l, s) {
		one := Limit{Name: r.name, Kind: r.kind, Unit: r.unit, From: r.from, Of: r.of, Need: r.need(l, p)}
		one.Share = one.Need / one.Of
		one.Change = strings.ReplaceAll(r.change, "{need}", r.unit.Text(one.Need))
		var err error
		if one.At, err = reached(l, s, r); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Limit) int {
		if never := cmp.Compare(min(b.At, 1), min(a.At, 1)); never != 0 {
			return never
		}
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Share, a.Share))
	})
	return out, nil
}

// reached returns the least number of recordings a day at which the limit is hit, when the stores hold as many days' as they
// do now; 0 for none.
func reached(l Load, s Setup, r rule) (int64, error) {
	hit := func(n int64) (bool, error) {
		at := l
		at.PerDay, at.Kept = n, min(maxKept, int64(float64(l.Kept)*(float64(n)/float64(l.PerDay))))
		p, err := without(at, s)
		return err == nil && r.need(at, p) > r.of, err
	}
	low, high := int64(0), int64(MostPerDay) // not hit, hit
	if ok, err := hit(high); err != nil || !ok {
		return 0, err
	}
	for low+1 < high {
		middle := low + (high-low)/2
		ok, err := hit(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			high = middle
		} else {
			low = middle
		}
	}
	return high, nil
}

// split is the way out of limits of one queue or one account: no code knows of more than one.
const split = "more installations side by side, each with sources, streams, buckets of its own"

// rules are all limits.
func rules(l Load, s Setup) []rule {
	return slices.Concat(providers(s), queues(s), runs(l, s), deployed())
}

// providers are the limits of the stores and of the platform.
func providers(s Setup) []rule {
	return []rule{
		{
			"S3 writes at the peak", Provider, PerSecond, "TWINREEL_PRIMARY_REQUEST_LIMIT × TWINREEL_PRIMARY_LIMIT_SHARE; S3 documents 3,500/s for a prefix",
			"beyond it new recordings go to backup first: let AWS part the prefix recordings/ beforehand, then raise TWINREEL_PRIMARY_REQUEST_LIMIT to {need} ÷ the share; or " + split,
			float64(s.RequestLimit) * s.LimitShare, func(_ Load, p Plan) float64 { return p.PeakS3[0] },
		},
		{
			"S3 reads and lists at the peak", Provider, PerSecond, "S3 documents 5,500/s for a prefix",
			"a longer TWINREEL_FULL_INTERVAL and TWINREEL_SCRUB_PERIOD; let AWS part the prefixes",
			s3Reads, func(_ Load, p Plan) float64 { return p.PeakS3[1] },
		},
		{
			"Azure requests at the peak", Provider, PerSecond, "Azure documents 20,000/s for an account (40,000 in some regions)",
			"ask Azure for a higher quota of the account; or " + split,
			azureRequests, func(_ Load, p Plan) float64 { return p.PeakAzure },
		},
		{
			"Azure ingress at the peak", Provider, BitsPerSecond, "Azure documents 25 Gbit/s into an account (60 in some regions)",
			"ask Azure for a higher quota of the account; or " + split,
			azureIngress, func(l Load, p Plan) float64 { return p.PeakRate * float64(l.Size) * 8 },
		},
		{
			"platform's API at the peak", Provider, PerSecond, "TWINREEL_PLATFORM_RATE; the platform documents 10/s",
			"have a larger share granted, and set TWINREEL_PLATFORM_RATE to {need}; signed links that outlive a backlog need no request",
			float64(s.PlatformRate), platformNeed,
		},
	}
}

// platformNeed is what the platform's API is asked in a second of the peak: for each tier a fresh link where it has lapsed,
// and each download where media count.
func platformNeed(l Load, p Plan) float64 {
	if l.Tokens {
		return p.PeakRate * sourceTrips * (1 + refetched)
	}
	return p.PeakRate * sourceTrips * refetched
}

// queues are the limits of NATS.
func queues(s Setup) []rule {
	one, all, from := float64(syncedWrites), syncedWrites*severalStreams, "one replica that syncs each message, as measured"
	if s.Replicas > 1 {
		one, all, from = replicated, replicated, "three replicas that sync many messages at once, measured with all three on one machine"
	}
	return []rule{
		{
			"AUDIT's messages at the peak", Queue, PerSecond, "a stream: " + from,
			"a disk that syncs faster; or " + split, one, func(_ Load, p Plan) float64 { return p.NATS.Audit },
		},
		{
			"all synced messages at the peak", Queue, PerSecond, "all streams of a server: " + from,
			"a disk that syncs faster, the streams' leaders on different servers (nats stream cluster step-down); or " + split,
			all, func(_ Load, p Plan) float64 { return p.NATS.Synced },
		},
		{
			"deliveries under way at the peak", Code, Count, "MaxAckPending of a consumer, while each waits once for TWINREEL_RETRY_BASE",
			"a larger MaxAckPending in pkg/queue/topology.go; it costs the consumers' leader memory",
			queue.MaxAckPending, func(l Load, p Plan) float64 { return p.PeakRate * (copySeconds(l) + retryWait) },
		},
		{
			"bytes of an event", Queue, Bytes, "NATS's max_payload, less 32 KiB", "it does not grow with recordings a day; TWINREEL_PARTICIPANTS=ids makes events smaller",
			maxPayload, func(Load, Plan) float64 { return eventBytes + overheadBytes },
		},
	}
}

// runs are the limits of the reconciler's work.
func runs(l Load, s Setup) []rule {
	return []rule{
		{
			"bytes read back in an hour", Setting, Bytes, "TWINREEL_SCRUB_BYTES_PER_HOUR", "TWINREEL_SCRUB_BYTES_PER_HOUR to {need}, or a longer TWINREEL_SCRUB_PERIOD",
			float64(s.ScrubBudget), func(_ Load, p Plan) float64 { return float64(p.Scrub.PerHour) },
		},
		{
			"bytes that one scrubber can read", Code, Bytes, "one recording of a tier after the other, piece by piece, reckoned for the stores' latency",
			"a longer TWINREEL_SCRUB_PERIOD; several recordings side by side (reconciler/internal/scrub)",
			scrubbed(l), func(_ Load, p Plan) float64 { return float64(p.Scrub.PerHour) },
		},
		{
			"time of a run over what is new", Code, Seconds, "an hour's recordings in an hour: stores are asked one after the other, for 16 recordings side by side, to free entries for 8",
			"nothing is lost, but digest entries heap up: ask both stores side by side, and more at once (sideBySide in reconciler/internal/plan and repair)",
			3600, func(_ Load, p Plan) float64 { return p.Hourly.Seconds },
		},
		{
			"time of a full run", Setting, Seconds, "TWINREEL_FULL_INTERVAL", "TWINREEL_FULL_INTERVAL to {need}, or more recordings looked at side by side (sideBySide in reconciler/internal/plan), or at fewer (turns)",
			s.Full.Seconds(), func(_ Load, p Plan) float64 { return p.FullRun.Seconds },
		},
		{
			"audit events to be sealed at the peak", Code, Share, "one leader, 16 objects side by side; measured on a disk, reckoned for the stores' latency",
			"more objects side by side (Side in reconciler/internal/audit/fetch); or " + split,
			1, func(l Load, p Plan) float64 { return p.NATS.Audit / sealing(l.Latency) },
		},
	}
}

// deployed are the limits that deploy/kubernetes sets.
func deployed() []rule {
	return []rule{
		{
			"workers of a tier", Deployment, Count, "maxReplicaCount, deploy/kubernetes/components/keda",
			"maxReplicaCount to {need}; bound by latency they are idle: TWINREEL_CONCURRENCY, with TWINREEL_MEMORY_LIMIT, makes fewer do",
			mostWorkers, func(_ Load, p Plan) float64 { return float64(p.Programs[worker+tier.Primary.String()].Total) },
		},
		{
			"ingresses", Deployment, Count, "replicas, deploy/kubernetes/overlays/production", "{need} replicas",
			ingresses, func(_ Load, p Plan) float64 { return float64(p.Programs[Ingress].Total) },
		},
		{
			"a NATS server's disk", Deployment, Bytes, "maxSize, deploy/kubernetes/overlays/production", "a file store of {need} (maxSize and the volume), or a shorter TWINREEL_RECORDINGS_MAX_AGE",
			natsDisk, func(_ Load, p Plan) float64 { return float64(p.NATS.Disk) },
		},
		{
			"a NATS server's memory", Deployment, Bytes, "limits, deploy/kubernetes/overlays/production; after seven days without a reconciler", "a memory limit above {need}; have a reconciler run in each zone",
			natsMemory, func(_ Load, p Plan) float64 { return float64(max(p.NATS.Memory, p.NATS.UnfreedMemory)) },
		},
		{
			"Redis's memory", Deployment, Bytes, "maxmemory, deploy/kubernetes/overlays/production", "maxmemory to {need}, or a shorter TWINREEL_LEDGER_TTL: Redis is never the only copy of anything",
			redisMemory, func(_ Load, p Plan) float64 { return float64(p.Redis.Memory) },
		},
		{
			"temporary files of a full run", Deployment, Bytes, "sizeLimit of /tmp, deploy/kubernetes/base/reconciler/reconciler.yaml", "sizeLimit and ephemeral-storage to {need}, or TMPDIR on a volume of that size",
			reconcileDisk, func(_ Load, p Plan) float64 { return float64(p.Disk) },
		},
	}
}
