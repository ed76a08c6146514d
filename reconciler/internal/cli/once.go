package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
	"github.com/twinreel/twinreel/reconciler/internal/dlq"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/plan"
	"github.com/twinreel/twinreel/reconciler/internal/reconcile"
)

// planID is what the ID of a plan looks like.
var planID = regexp.MustCompile("^[0-9a-f]{16}$")

// onceFlags are the flags of once.
type onceFlags struct {
	onlyNew, deep, dryRun, shorter bool
	approve                        string
	rate                           float64
}

func (f onceFlags) options() reconcile.Options {
	o := reconcile.Options{Scope: plan.Full, DryRun: f.dryRun, Approve: f.approve, AcceptShorter: f.shorter}
	switch {
	case f.onlyNew:
		o.Scope = plan.New
	case f.deep:
		o.Scope = plan.Deep
	}
	return o
}

func (a *app) once() *cobra.Command {
	var flags onceFlags
	c := &cobra.Command{
		Use:   "once",
		Short: "Compare both stores with what was acknowledged, and mend what can be mended",
		Long: `Make one run: compare what S3 and Azure Blob hold with each other and with the ledger of what was acknowledged, show what
differs, and mend what can be mended. Without a flag whole inventories are compared, and a closer look (checksums, tags,
sidecars) is taken at whatever differs, at all of up to 20,000 recordings, and at a thirtieth of more, another each time.

Repair only sends events again, to the tier that lacks something; the workers write. Nothing is ever overwritten: other
bytes, second versions, second keys, other tags and unknown objects are noted in quarantine (see quarantine list) and count
no more once they are. Before an event is sent its evidence is looked at again, so a run may be broken off and repeated.

One run sends at most a tenth of the recordings again, and at least 100. Above that it sends nothing, says so, and shows the
plan's ID: once --approve PLAN-ID carries out that very plan.

With TWINREEL_AUDIT_KEY it also seals the audit log up to the run; without, the daemon does.

Exit code 0: in step. 3: differences that need work remain – also those just sent again, which a later run confirms.`,
		Example: `  reconciler once --dry-run
  reconciler once
  reconciler once --new
  reconciler once --deep -o ndjson > findings.ndjson
  reconciler once --approve 5f2b0c9d1e3a4b68`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.onlyNew && flags.deep {
				return usagef("--new and --deep: want one of them")
			}
			if flags.approve != "" && !planID.MatchString(flags.approve) {
				return usagef("--approve %.40q: want the ID of a plan, 16 hexadecimal digits", flags.approve)
			}
			if flags.rate < 0 {
				return usagef("--rate: want more than 0")
			}
			return a.runOnce(cmd.Context(), flags)
		},
	}
	c.Flags().BoolVar(&flags.onlyNew, "new", false, "look only at what is new and still open")
	c.Flags().BoolVar(&flags.deep, "deep", false, "take the closer look at every recording")
	c.Flags().BoolVar(&flags.dryRun, "dry-run", false, "show what differs and what would be done; change nothing")
	c.Flags().StringVar(&flags.approve, "approve", "", "ID of a plan above the cap that is to be carried out")
	c.Flags().BoolVar(&flags.shorter, "accept-shorter", false, "believe listings that are much shorter than the last run's")
	c.Flags().Float64Var(&flags.rate, "rate", 0, "events sent again per second; TWINREEL_REPAIR_RATE otherwise")
	return c
}

func (a *app) runOnce(ctx context.Context, flags onceFlags) error {
	var s config.Once
	if err := a.load(&s); err != nil {
		return err
	}
	if flags.rate > 0 {
		s.Repair.Rate = flags.rate
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	runner, done, err := a.runner(ctx, s, conn, flags)
	if err != nil {
		return err
	}
	defer done()
	result, err := runner.Run(ctx, flags.options())
	if result.Plan != nil {
		defer func() { _ = result.Plan.Close() }()
		err = errors.Join(err, a.writeRun(result, flags))
	}
	if err != nil {
		return err
	}
	a.sayRun(result, flags)
	if err := a.seal(ctx, s, conn, flags); err != nil {
		return err
	}
	if result.Remaining > 0 {
		return exitDiffers
	}
	return nil
}

// seal seals what the run has written into the log, where the command has the key; else the daemon does.
func (a *app) seal(ctx context.Context, s config.Once, conn *connection, flags onceFlags) error {
	if flags.dryRun || !s.Seal.Key.IsSet() {
		return nil
	}
	stores, err := daemon.OpenStores(ctx, s.Stores, func(string) {})
	if err != nil {
		return err
	}
	sealer, err := daemon.NewSealer(ctx, daemon.Sealing{
		JS: conn.js, Peer: s.NATS.Peer, Publisher: queue.NewPublisher(conn.nc, conn.js), Stores: s.Stores, Readers: stores, Keys: s.Seal.Keys, TTL: s.Redis.TTL, Log: zap.NewNop(),
	})
	if err != nil {
		return err
	}
	if err := sealer.Once(ctx); err != nil {
		return fmt.Errorf("the run is done; its log could not be sealed: %w", err)
	}
	a.say("the audit log is sealed")
	return nil
}

// runner puts together what makes the run.
func (a *app) runner(ctx context.Context, s config.Once, conn *connection, flags onceFlags) (*reconcile.Runner, func(), error) {
	stores, err := daemon.OpenStores(ctx, s.Stores, func(text string) { a.say("aws credentials: %s", text) })
	if err != nil {
		return nil, nil, err
	}
	redis, err := redisledger.Open(s.Redis)
	if err != nil {
		return nil, nil, err
	}
	told := time.Now()
	log, err := a.sealedLog(ctx, s, conn, stores, flags.dryRun)
	if err != nil {
		_ = redis.Close()
		return nil, nil, err
	}
	parts := daemon.Reconciling(s.Reconcile, s.Retention, s.Repair, log, a.doubt)
	parts.NC, parts.JS, parts.Peer, parts.Stores, parts.By = conn.nc, conn.js, s.NATS.Peer, stores, operator()
	parts.Log = zap.NewNop()
	parts.Progress = func(stage string, done, total int64) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		if total > 0 {
			a.say("%s: %d of %d", stage, done, total)
		} else {
			a.say("%s: %d", stage, done)
		}
	}
	r, err := reconcile.New(ctx, parts)
	if err != nil {
		_ = redis.Close()
		return nil, nil, err
	}
	look, again := dlq.Schedules()
	r.Letters = (&dlq.Follower{
		JS: conn.js, Publisher: r.Publisher, Digests: r.Planner.Digests, Stores: stores, Ledger: redis, Look: look, Redrive: again,
		Rate: rate.NewLimiter(rate.Limit(s.Repair.Rate), 1), Now: time.Now, Log: zap.NewNop(),
	}).Once
	return r, func() { _ = redis.Close() }, nil
}

// sealedLog returns the sealed log, and makes tombstones again that were lost, where the command has the log's key.
func (a *app) sealedLog(ctx context.Context, s config.Once, conn *connection, stores map[tier.Tier]objstore.Reader, dry bool) (*audit.Log, error) {
	log := &audit.Log{Stores: stores, Aside: func(err error) { a.say("a part of the sealed log is left out: %s", fault.Text(err)) }}
	if !s.Seal.Key.IsSet() {
		return log, nil
	}
	var err error
	if log.Keys, err = s.Seal.Keys(); err != nil || dry {
		return log, err
	}
	stones, err := erasure.Open(ctx, conn.js)
	if err != nil {
		return nil, err
	}
	made, err := reconcile.Refill(ctx, stones, log, a.doubt)
	if made > 0 {
		a.say("%d tombstones were lost; they are made again from the sealed log", made)
	}
	return log, err
}

// doubt tells of what the sealed log claims of a recording and cannot prove.
func (a *app) doubt(key string, err error) {
	a.say("what the sealed log claims of %s is not proven, and counts for nothing: %s", key, fault.Text(err))
}

// runHead and runTail are what is printed of a run beside its findings.
type (
	runHead struct {
		PlanID string `json:"planId"`
	}
	runTail struct {
		Repairs   int64      `json:"repairs"` // events sent again; in a dry run, that would be
		Remaining int64      `json:"remaining"`
		Scope     plan.Scope `json:"scope"`
		Expected  int64      `json:"expected"` // recordings that the ledger names
		Looked    int64      `json:"looked"`   // those at which a closer look was taken
		Confirmed int64      `json:"confirmed"`
		Refused   bool       `json:"refused"` // the plan is above the cap: nothing was sent again
	}
)

// repairs is how many events were sent again, or would be.
func repairs(r reconcile.Result, flags onceFlags) int64 {
	if flags.dryRun {
		return r.Plan.Sends
	}
	return r.Repair.Sent
}

// writeRun prints what a run found, as it comes: there may be more than memory holds.
func (a *app) writeRun(r reconcile.Result, flags onceFlags) error {
	tail := runTail{
		repairs(r, flags), r.Remaining, r.Plan.Scope, r.Plan.Expected, r.Plan.Looked, r.Confirmed, r.Repair.Refused || flags.dryRun && r.Plan.Above(),
	}
	switch a.format {
	case asJSON:
		return writeRunJSON(a.Stdout, r.Plan, tail)
	case ndjson:
		for f, err := range r.Plan.Findings() {
			if err == nil {
				err = writeJSON(a.Stdout, f, "")
			}
			if err != nil {
				return err
			}
		}
		return writeJSON(a.Stdout, struct {
			runHead
			runTail
		}{runHead{r.Plan.ID.String()}, tail}, "")
	}
	return a.writeRunTable(r.Plan)
}

// writeRunJSON prints one object, of which the findings come one by one.
func writeRunJSON(w io.Writer, p *plan.Plan, tail runTail) error {
	if _, err := fmt.Fprintf(w, "{\n  \"planId\": %q,\n  \"findings\": [", p.ID.String()); err != nil {
		return err
	}
	sep := "\n    "
	for f, err := range p.Findings() {
		if err != nil {
			return err
		}
		b, err := json.Marshal(f)
		if err == nil {
			_, err = fmt.Fprint(w, sep, string(b))
		}
		if err != nil {
			return err
		}
		sep = ",\n    "
	}
	b, err := json.MarshalIndent(tail, "", "  ")
	if err != nil {
		return err
	}
	end := "\n  ],"
	if p.Len() == 0 {
		end = "],"
	}
	_, err = fmt.Fprintf(w, "%s%s\n}\n", end, strings.TrimSuffix(strings.TrimPrefix(string(b), "{"), "\n}"))
	return err
}

// mostRows is how many findings a table shows: people read no more.
const mostRows = 1000

// scopeFlag is the flag by which a run of that scope is asked for.
func scopeFlag(s plan.Scope) string {
	if s == plan.Full {
		return ""
	}
	return " --" + string(s)
}

// again is the same run's flags, for whoever is to type it once more.
func again(s plan.Scope, flags onceFlags) string {
	if flags.shorter {
		return scopeFlag(s) + " --accept-shorter"
	}
	return scopeFlag(s)
}

// writeRunTable prints the findings for people.
func (a *app) writeRunTable(p *plan.Plan) error {
	var rows [][]string
	for f, err := range p.Findings() {
		if err != nil {
			return err
		}
		if len(rows) == mostRows {
			a.say("%d more are not shown: use -o ndjson", p.Len()-mostRows)
			break
		}
		name := f.IdempotencyKey
		if name == "" {
			name = f.ObjectKey
		}
		rows = append(rows, []string{string(f.Kind), f.Tier, name, string(f.Action), shorten(f.Evidence, 90)})
	}
	if len(rows) == 0 {
		return nil
	}
	return writeTable(a.Stdout, []string{"KIND", "TIER", "RECORDING", "ACTION", "EVIDENCE"}, rows)
}

// sayRun says in words what a run came to.
func (a *app) sayRun(r reconcile.Result, flags onceFlags) {
	p := r.Plan
	if p.Unread > 0 {
		a.say("%d copies whose store reports no checksum were not read back: the scrub reads them", p.Unread)
	}
	if p.Unheard > 0 {
		a.say("%d recordings or objects are unknown here, and nothing is said of them: the other region, which may know them, cannot be heard", p.Unheard)
	}
	if p.Unjudged > 0 {
		a.say("%d recordings could not be looked at, and nothing is said of them; the last: %s", p.Unjudged, p.Why)
	}
	if r.Repair.Failed > 0 {
		a.say("%d events could not be sent; the last: %s", r.Repair.Failed, r.Repair.Why)
	}
	switch held := r.Repair.Held; {
	case held > 0 && r.Repair.Unasked != "":
		a.say("%d copies were not sent: how long their tier's backlog is could not be asked: %s. The next run sends them", held, r.Repair.Unasked)
	case held > 0:
		a.say("%d copies were not sent: their tier has a backlog in which their links would lapse. The next run sends them", held)
	}
	a.say("%d recordings in the ledger, %d looked at closely, %d findings, in %s", p.Expected, p.Looked, p.Len(), r.Took.Round(time.Millisecond))
	switch {
	case flags.dryRun && p.Above():
		a.say("plan %s: %d events would be sent again, more than the %d that one run may send unasked; nothing was changed", p.ID, p.Sends, p.Cap())
	case flags.dryRun:
		a.say("plan %s: %d events would be sent again; nothing was changed", p.ID, p.Sends)
	case r.Repair.Refused:
		a.say("plan %s: %d events to be sent again are more than the %d that one run may send unasked. If this is right: reconciler once%s --approve %s",
			p.ID, p.Sends, p.Cap(), again(p.Scope, flags), p.ID)
	case flags.approve != "" && flags.approve != p.ID.String():
		a.say("plan %s, not the approved %s; it is below the cap, which needs no approval: %d events sent again", p.ID, flags.approve, r.Repair.Sent)
	default:
		a.say("plan %s: %d events sent again, %d findings new in quarantine, %d recordings confirmed in both tiers", p.ID, r.Repair.Sent, r.Repair.Noted, r.Confirmed)
	}
	switch {
	case r.Remaining == 0:
		a.say("in step")
	case r.Repair.Sent > 0:
		a.say("%d differences remain until a later run has seen that what was sent again is there", r.Remaining)
	default:
		a.say("%d differences need work", r.Remaining)
	}
}
