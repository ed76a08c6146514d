package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// NATS is the part that holds what was acknowledged.
type NATS struct {
	JS       jetstream.JetStream
	Sizes    queue.Sizes
	Replicas int
	Peer     queue.Peer
	Monitor  string // address of a server's monitoring endpoint, "" for none
	Client   *http.Client
}

// topology is what provisioning would make.
func (n NATS) topology() queue.Topology {
	return queue.Topology{Sizes: n.Sizes, Replicas: n.Replicas, Peer: n.Peer}
}

const provisionAgain = "run reconciler provision"

// Examine implements Part.
func (n NATS) Examine(ctx context.Context) []Check {
	began := time.Now()
	all, err := n.topology().Inspect(ctx, n.JS)
	if err != nil {
		return Away("nats", err)
	}
	took := time.Since(began)
	out := []Check{
		reachable("nats").pass("%d streams, buckets and consumers asked for in %s", len(all), took.Round(time.Millisecond)),
		n.streams(all), n.replicas(all),
	}
	out = append(out, n.monitored(ctx)...)
	if at := newest(all); !at.IsZero() {
		out = append(out, clock(ctx, "nats", n.serverTime))
	}
	return out
}

// newest is the server's latest time of answering.
func newest(all []queue.Standing) (at time.Time) {
	for _, s := range all {
		if s.At.After(at) {
			at = s.At
		}
	}
	return at
}

// serverTime is the time that the server says it answered at.
func (n NATS) serverTime(ctx context.Context) (time.Time, error) {
	s, err := n.JS.Stream(ctx, queue.Recordings)
	if err != nil {
		return time.Time{}, err
	}
	return s.CachedInfo().TimeStamp, nil
}

// streams judges whether all that provisioning makes is there and as it should be.
func (n NATS) streams(all []queue.Standing) Check {
	q := question{"nats.streams", "streams, buckets and consumers are as provision makes them: on files, refusing when full, never dropping", "what they hold was answered 200 and is nowhere else yet"}
	var missing, differs []string
	for _, s := range all {
		if s.Missing {
			missing = append(missing, s.Kind+" "+s.Name)
		}
		for _, d := range s.Differs {
			differs = append(differs, fmt.Sprintf("%s %s %s", s.Kind, s.Name, d))
		}
	}
	switch {
	case len(missing) > 0:
		return q.fail(provisionAgain, "missing: %s", strings.Join(append(missing, differs...), "; "))
	case len(differs) > 0:
		return q.fail(provisionAgain+" with the same settings as the programs have", "%s", strings.Join(differs, "; "))
	}
	return q.pass("%d of them, all as they should be", len(all))
}

// replicas judges on how many disks an acknowledged event is.
func (n NATS) replicas(all []queue.Standing) Check {
	q := question{"nats.replicas", "three replicas or more, all up and in step", "with one replica, a lost disk is every event that no tier has stored yet"}
	var behind []string
	for _, s := range all {
		if s.Current > 0 && s.Current < s.Replicas {
			behind = append(behind, fmt.Sprintf("%s has %d of %d", s.Name, s.Current, s.Replicas))
		}
	}
	switch {
	case len(behind) > 0:
		return q.fail("bring the NATS servers that are away back, or replace them", "not all replicas are in step: %s", strings.Join(behind, "; "))
	case n.Replicas < 3:
		return q.warn("run three NATS servers, set TWINREEL_NATS_REPLICAS=3 for all programs, and provision again", "TWINREEL_NATS_REPLICAS is %d", n.Replicas)
	}
	return q.pass("%d replicas, all in step", n.Replicas)
}

// monitored judges what only a server's monitoring endpoint tells.
func (n NATS) monitored(ctx context.Context) []Check {
	sync := question{"nats.sync", "servers sync each write to the disk before they acknowledge it", "else a power cut takes back what the platform was told is safe: the 200 was given for it"}
	room := question{"nats.room", "the server's disk holds the streams when they are full", "a full disk stops the intake: webhooks are answered 503"}
	const mend = "set TWINREEL_NATS_MONITOR_URL to the monitoring address of a NATS server (http://host:8222)"
	if n.Monitor == "" {
		const found = "only the monitoring endpoint tells, and TWINREEL_NATS_MONITOR_URL is not set"
		return []Check{sync.unknown(mend, found), room.unknown(mend, found)}
	}
	server, err := capacity.Ask(ctx, n.Client, n.Monitor)
	if err != nil {
		return []Check{sync.untold(mend, err), room.untold(mend, err)}
	}
	return []Check{n.synced(sync, server), n.fits(ctx, room)}
}

func (n NATS) synced(q question, s capacity.Server) Check {
	const mend = "set jetstream { sync_interval: always } in the configuration of each NATS server, and restart them one by one"
	switch {
	case !s.SyncTold:
		return q.unknown("look at sync_interval in the server's configuration", "this server does not tell its sync_interval")
	case s.Sync == 0:
		return q.pass("sync_interval: always")
	case n.Replicas >= 3:
		return q.warn(mend, "sync_interval is %s: a power cut of all %d servers at once loses what came since", s.Sync, n.Replicas)
	}
	return q.fail(mend, "sync_interval is %s, and there is one replica only: a power cut loses what came since", s.Sync)
}

func (n NATS) fits(ctx context.Context, q question) Check {
	room, err := capacity.Measure(ctx, n.Client, n.Monitor, n.JS, n.topology())
	switch {
	case err != nil:
		return q.untold("look at the disk of each NATS server", err)
	case !room.Fits():
		return q.fail("free space, raise max_file_store, or lower TWINREEL_*_MAX_BYTES and provision again", "%s", room)
	}
	return q.pass("%s", room)
}
