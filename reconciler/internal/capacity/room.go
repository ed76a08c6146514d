package capacity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Room is what streams of some sizes need of one server, and what it has for them.
type Room struct {
	Needed    settings.Bytes // all streams
	Available settings.Bytes // not promised to other streams; what ours have already is available to them
}

// Fits reports whether the server can hold them.
func (r Room) Fits() bool { return r.Needed <= r.Available }

// String tells the two numbers.
func (r Room) String() string {
	return fmt.Sprintf("needed %s, available %s", human(r.Needed), human(r.Available))
}

// Measure asks the monitoring endpoint of a server how much of its file storage is not promised yet. Each server keeps at
// most one replica of a stream, so that one answer stands for each.
func Measure(ctx context.Context, client *http.Client, monitor string, js jetstream.JetStream, t queue.Topology) (Room, error) {
	server, err := Ask(ctx, client, monitor)
	if err != nil {
		return Room{}, err
	}
	r := Room{Available: server.Storage - server.Promised}
	for name, size := range streams(t.Sizes, t.Peer) {
		r.Needed += size
		stream, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return Room{}, fmt.Errorf("stream %s: %w", name, err)
		}
		if c := stream.CachedInfo().Config; c.Storage == jetstream.FileStorage {
			r.Available += settings.Bytes(max(0, c.MaxBytes))
		}
	}
	return r, nil
}

// streams are the sizes of all streams that have one: with a peer region, also of the mirrors of its own.
func streams(s queue.Sizes, peer queue.Peer) map[string]settings.Bytes {
	out := map[string]settings.Bytes{queue.Recordings: s.Recordings, queue.DeadLetters: s.Letters, queue.Audit: s.Audit}
	if peer.Known() {
		out[queue.PeerRecordings], out[queue.PeerAudit] = s.Recordings, s.Audit
	}
	return out
}

// Server is what the monitoring endpoint of a NATS server tells about its JetStream.
type Server struct {
	Storage  settings.Bytes // that it may use on its disk
	Promised settings.Bytes // of that, to streams
	Used     settings.Bytes
	// Sync is how often it syncs what it has written to the disk; 0: with each write, before it acknowledges it. Older
	// servers do not tell.
	Sync     time.Duration
	SyncTold bool
}

// jsz is what is needed of the server's answer to GET /jsz.
type jsz struct {
	Disabled bool  `json:"disabled"`
	Reserved int64 `json:"reserved_storage"` // bytes promised to streams
	Used     int64 `json:"storage"`          // bytes
	Config   struct {
		MaxStorage   int64         `json:"max_storage"` // bytes
		SyncInterval time.Duration `json:"sync_interval"`
		SyncAlways   bool          `json:"sync_always"`
	} `json:"config"`
}

// Ask asks the monitoring endpoint of one server.
func Ask(ctx context.Context, client *http.Client, monitor string) (Server, error) {
	j, err := ask(ctx, client, monitor)
	if err != nil {
		return Server{}, fmt.Errorf("ask the NATS server at TWINREEL_NATS_MONITOR_URL for its limits: %s", fault.Text(fault.WithoutURL(err)))
	}
	s := Server{
		Storage: settings.Bytes(j.Config.MaxStorage), Promised: settings.Bytes(j.Reserved), Used: settings.Bytes(j.Used),
		Sync: j.Config.SyncInterval, SyncTold: j.Config.SyncAlways || j.Config.SyncInterval > 0,
	}
	if j.Config.SyncAlways {
		s.Sync = 0
	}
	return s, nil
}

func ask(ctx context.Context, client *http.Client, monitor string) (jsz, error) {
	var out jsz
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(monitor, "/")+"/jsz", nil)
	if err != nil {
		return out, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("answered %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, errors.New("its answer is not that of /jsz")
	}
	if out.Disabled || out.Config.MaxStorage <= 0 {
		return out, errors.New("JetStream is not enabled on it, or has no file storage")
	}
	return out, nil
}

// human writes a size for people, with one decimal.
func human(b settings.Bytes) string {
	size, unit := float64(b)/(1<<20), "MiB"
	if size >= 1<<10 {
		size, unit = size/(1<<10), "GiB"
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
