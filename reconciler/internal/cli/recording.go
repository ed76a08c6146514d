package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/history"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

func (a *app) recording() *cobra.Command {
	return parent("recording", "One recording", a.recordingShow(), a.recordingGet(), a.recordingForget())
}

func (a *app) recordingShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show where a recording is stored, and what happened to it",
		Long: `Show a recording's record and timeline. ID is the recording ID, or source/recording ID for a source other than the
default one. The record comes from Redis; where Redis has none or is away it is put together from the newest ` + strconv.Itoa(history.Newest) + `
events of RECORDINGS, the dead letters, and what the stores hold. Without the stores' settings (TWINREEL_S3_…,
TWINREEL_AZURE_…) they are not asked, and then nothing is known of copies. The timeline has what the audit log tells: what
is sealed, and of what is not the newest ` + strconv.Itoa(history.NewestAudited) + ` events of AUDIT. Unknown: exit code 1.

Open dead letters are listed whatever the status: it tells of the copies, and a recording of which both tiers hold one may have
a letter that contradicts it. Such a letter stays until it is looked at (dlq show) and discarded (dlq discard).`,
		Example: `  reconciler recording show rec-8a7f
  reconciler recording show emea/rec-8a7f -o json | jq .status`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := keyOf(args[0]); err != nil {
				return err
			}
			var s config.Recording
			if err := a.load(&s); err != nil {
				return err
			}
			key, _ := keyOf(args[0])
			r, err := a.findRecording(cmd.Context(), s, key)
			if err != nil {
				return fmt.Errorf("recording %s: %w", key, err)
			}
			return a.printOne(r, func(w io.Writer) error { return writeRecording(w, r) })
		},
	}
}

// keyOf returns the idempotency key that an argument names. IDs are never guessed: a malformed one is wrong usage.
func keyOf(id string) (string, error) {
	source, recording, err := event.SplitKey(id)
	if err != nil {
		return "", usageError{err}
	}
	return event.IdempotencyKey(source, recording), nil
}

// findRecording asks Redis, then the streams and the stores; and NATS whether the recording is in quarantine or forgotten,
// and what the audit log tells. What Redis knows is shown without NATS as well.
func (a *app) findRecording(ctx context.Context, s config.Recording, key string) (history.Recording, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r, err := a.fromRedis(ctx, s, key)
	conn, cerr := a.connect(ctx, s.NATS)
	switch {
	case cerr == nil:
		defer conn.close()
		return a.finder(ctx, conn, r, err).Find(ctx, key)
	case err != nil:
		a.aside("Redis", err)
		return history.Recording{}, cerr
	}
	a.say("its open letters, whether it is in quarantine or forgotten, and what the audit log tells of it, are not known: %s", fault.Text(cerr))
	return history.FromRecord(r), nil
}

// finder finds what is known of one recording; r and err are what Redis answered. Stores are asked only where it had none.
func (a *app) finder(ctx context.Context, conn *connection, r ledger.Record, err error) *history.Finder {
	f := &history.Finder{
		Record: func(context.Context, string) (ledger.Record, error) { return r, err },
		Stream: func(ctx context.Context, key string) (history.Recording, error) {
			return history.FromStream(ctx, conn.js, key)
		},
		Letters: func(ctx context.Context, key string) ([]letters.Full, error) { return letters.Find(ctx, conn.js, key) },
		Aside:   a.aside,
	}
	stores := a.configuredStores(ctx)
	if err != nil {
		stores = a.stores(ctx)
		f.Stores = stores
	}
	var sealed history.Sealed
	if stores != nil {
		sealed = history.FromSealed(conn.js, &audit.Log{Stores: stores})
	}
	f.Log = history.Log(history.Search(conn.js), sealed)
	f.Erased = func(ctx context.Context, key string) (erasure.Tombstone, error) {
		stones, err := erasure.Open(ctx, conn.js)
		if err != nil {
			return erasure.Tombstone{}, err
		}
		return stones.Find(ctx, key)
	}
	f.Quarantined = func(ctx context.Context, key string) (quarantine.Record, error) {
		book, err := quarantine.Open(ctx, conn.js)
		if err != nil {
			return quarantine.Record{}, err
		}
		return book.Get(ctx, key)
	}
	return f
}

// aside tells who knows nothing, or cannot be asked.
func (a *app) aside(who string, err error) {
	switch {
	case err == nil, errors.Is(err, ledger.ErrNoRecord):
		a.say("%s has no record of it", who)
	default:
		a.say("%s cannot be asked: %s", who, fault.Text(err))
	}
}

// configuredStores returns the stores, none where their settings are not given: then what is sealed is not told.
func (a *app) configuredStores(ctx context.Context) map[tier.Tier]objstore.Reader {
	var s config.Stores
	if a.load(&s) != nil {
		return nil
	}
	out, err := daemon.OpenStores(ctx, s, func(string) {})
	if err != nil {
		return nil
	}
	return out
}

// stores returns the stores, none where their settings are of no use: what the streams know needs NATS alone.
func (a *app) stores(ctx context.Context) map[tier.Tier]objstore.Reader {
	var s config.Stores
	err := a.load(&s)
	if err == nil {
		var out map[tier.Tier]objstore.Reader
		if out, err = daemon.OpenStores(ctx, s, func(text string) { a.say("aws credentials: %s", text) }); err == nil {
			return out
		}
	}
	a.say("the stores are not asked, so nothing is known of copies: %s", fault.Clean(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return nil
}

func writeRecording(w io.Writer, r history.Recording) error {
	rows := [][]string{
		{"recording", r.RecordingID},
		{"idempotency key", r.IdempotencyKey},
		{"status", string(r.Status)},
		{"sha256", r.SHA256},
		{"size", bytesText(r.Size)},
		{"retries", fmt.Sprintf("%d (primary %d, backup %d)", r.RetryCount, r.Retries.Primary, r.Retries.Backup)},
	}
	for _, t := range tier.All() {
		rows = append(rows, []string{t.String(), sideText(r.Side(t))})
	}
	rows = append(rows, openText(r.Open)...)
	if err := writeTable(w, nil, rows); err != nil {
		return err
	}
	if len(r.Timeline) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = nil
	for _, e := range r.Timeline {
		rows = append(rows, []string{stamp(e.At), e.Tier, e.What})
	}
	return writeTable(w, []string{"AT", "TIER", "WHAT"}, rows)
}

// sideText tells one tier's copy in a line.
func sideText(s *ledger.Stored) string {
	if s == nil {
		return "no copy known"
	}
	parts := []string{s.Bucket + "/" + s.Key}
	if s.VersionID != "" {
		parts = append(parts, "version "+s.VersionID)
	}
	return strings.Join(append(parts, "stored "+stamp(&s.Timestamp)), ", ")
}

// openText tells of each open dead letter in a line; nil: they are not known.
func openText(list []letters.Letter) [][]string {
	if list == nil {
		return [][]string{{"open letters", "not known"}}
	}
	rows := [][]string{{"open letters", number(len(list))}}
	for _, l := range list {
		rows = append(rows, []string{"", fmt.Sprintf("letter %d, %s: %s, given up %s", l.Sequence, l.Tier, l.Reason, stamp(&l.DeadAt))})
	}
	return rows
}

func bytesText(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n) + " bytes"
}
