package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
)

// Memory is what one run leaves for the next, whoever makes it: it is in the log's event of each run. The zero value is
// that of the first run of all.
type Memory struct {
	Cursor          uint64    // where in RECORDINGS a run of what is new begins; 0: nobody knows
	Seen            uint64    // up to where the last one has looked
	Primary, Backup int64     // what the last full run counted in each store
	Turn            int64     // of the closer looks of full runs
	NewAt, FullAt   time.Time // when the last good one of each scope began
	Renewed         uint64    // up to here RECORDINGS has nothing that would leave by age without being owed again
}

// The names of the counts by which memory is kept.
const (
	countCursor  = "cursor"
	countSeen    = "seen"
	countPrimary = "primaryKeys"
	countBackup  = "backupKeys"
	countTurn    = "turn"
	countNewAt   = "lastNewUnix"
	countFullAt  = "lastFullUnix"
	countRenewed = "renewed"
)

func (m Memory) counts() map[string]int64 {
	return map[string]int64{
		countCursor: int64(m.Cursor), countSeen: int64(m.Seen), countPrimary: m.Primary, countBackup: m.Backup, countTurn: m.Turn, countNewAt: seconds(m.NewAt),
		countFullAt: seconds(m.FullAt), countRenewed: int64(m.Renewed),
	}
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func moment(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// Last returns what the last run left, the zero value if there was none.
func (r *Runner) Last(ctx context.Context) (Memory, error) { return Last(ctx, r.JS) }

// Last returns what the last run left, the zero value if there was none.
func Last(ctx context.Context, js jetstream.JetStream) (Memory, error) {
	stream, err := js.Stream(ctx, queue.Audit)
	if err == nil {
		var m *jetstream.RawStreamMsg
		m, err = stream.GetLastMsgForSubject(ctx, queue.AuditSubject(string(event.AuditRun), event.AuditAll))
		if err == nil {
			return read(m.Data), nil
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Memory{}, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = queue.ErrNotProvisioned
	}
	return Memory{}, fault.New(fault.Unavailable, fault.Queue, "ask the log for the last run", err)
}

// read reads the event of a run. One that cannot be read leaves nothing.
func read(body []byte) Memory {
	var e struct {
		Data struct {
			Counts map[string]int64 `json:"counts"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return Memory{}
	}
	c := e.Data.Counts
	return Memory{
		Cursor: uint64(max(c[countCursor], 0)), Seen: uint64(max(c[countSeen], 0)), Primary: c[countPrimary], Backup: c[countBackup], Turn: c[countTurn],
		NewAt: moment(c[countNewAt]), FullAt: moment(c[countFullAt]), Renewed: uint64(max(c[countRenewed], 0)),
	}
}

// after is what a run leaves.
func (m Memory) after(o Options, out Result, began time.Time, failed error) Memory {
	m.Renewed = max(m.Renewed, out.Through)
	if failed != nil || out.Plan == nil || out.Repair.Refused {
		return m // what was refused is to be looked at again
	}
	if o.Scope == plan.New {
		m.Cursor, m.Seen, m.NewAt = out.Plan.Cursor, out.Plan.Seen, began
		return m
	}
	m.Primary, m.Backup = out.Plan.Counts.Primary, out.Plan.Counts.Backup
	m.Turn, m.FullAt = m.Turn+1, began
	return m
}
