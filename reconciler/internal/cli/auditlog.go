package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/folder"
	"github.com/twinreel/twinreel/reconciler/internal/config"
)

// logTimeout bounds a command that looks something up in the sealed log.
const logTimeout = 2 * time.Minute

// logFlags say where the sealed log is read, and whose checkpoints are believed.
type logFlags struct {
	store, dir, key string
}

const bothStores = "both"

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.store, "store", bothStores, "whose copy: primary, backup or both")
	c.Flags().StringVar(&f.dir, "dir", "", "read a copy of audit/ in this directory instead of a store")
	c.Flags().StringVar(&f.key, "key", "", "verifier key of the log (default: from TWINREEL_AUDIT_KEY)")
	_ = c.RegisterFlagCompletionFunc("store", cobra.FixedCompletions([]string{tier.Primary.String(), tier.Backup.String(), bothStores}, cobra.ShellCompDirectiveNoFileComp))
}

// source is one copy of the log, and what it is called.
type source struct {
	name   string
	tier   tier.Tier
	reader objstore.Reader
}

// open opens the copies of the log that the flags name.
func (f *logFlags) open(ctx context.Context, a *app) ([]source, error) {
	if f.dir != "" {
		if f.store != bothStores {
			return nil, usagef("--dir and --store: one of them")
		}
		r, err := folder.Open(f.dir)
		if err != nil {
			return nil, usagef("--dir: %w", err)
		}
		return []source{{f.dir, tier.Primary, r}}, nil
	}
	var out []source
	for _, t := range tier.All() {
		if f.store != bothStores && f.store != t.String() {
			continue
		}
		r, err := a.openStore(ctx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, source{t.String(), t, r})
	}
	if len(out) == 0 {
		return nil, usagef("--store %.40q: want %s, %s or %s", f.store, tier.Primary, tier.Backup, bothStores)
	}
	return out, nil
}

// openStore opens one store for reading, by its own settings alone.
func (a *app) openStore(ctx context.Context, t tier.Tier) (objstore.Reader, error) {
	if t == tier.Backup {
		var s config.Backup
		if err := a.load(&s); err != nil {
			return nil, err
		}
		return azstore.OpenReader(ctx, s.Azure)
	}
	var s config.Primary
	if err := a.load(&s); err != nil {
		return nil, err
	}
	return s3store.OpenReader(ctx, s.S3, s3store.OnWarning(func(text string) { a.say("aws credentials: %s", text) }))
}

// keys returns whose checkpoints are believed, none where nobody has said.
func (f *logFlags) keys(a *app) (checkpoint.Keys, error) {
	if f.key != "" {
		k, err := checkpoint.ParseKeys([]string{strings.TrimSpace(f.key)})
		if err != nil {
			return checkpoint.Keys{}, usagef("--key: want a verifier key as printed by reconciler audit keygen")
		}
		return k, nil
	}
	var s config.AuditKey
	if err := a.load(&s); err != nil {
		return checkpoint.Keys{}, err
	}
	if !s.Key.IsSet() {
		return checkpoint.Keys{}, nil
	}
	k, err := checkpoint.ParseKeys(s.Key.Lines())
	if err != nil {
		return checkpoint.Keys{}, usagef("TWINREEL_AUDIT_KEY: want a key as made by reconciler audit keygen")
	}
	return k, nil
}

// log returns the log for looking something up.
func (f *logFlags) log(ctx context.Context, a *app) (*audit.Log, []source, error) {
	keys, err := f.keys(a)
	if err != nil {
		return nil, nil, err
	}
	if !keys.Any() {
		a.say("whose checkpoints are to be believed is not said (--key, TWINREEL_AUDIT_KEY): their signatures are not checked")
	}
	sources, err := f.open(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	l := &audit.Log{Keys: keys, Stores: map[tier.Tier]objstore.Reader{}, Aside: func(err error) { a.say("%s", fault.Text(err)) }}
	for _, s := range sources {
		l.Stores[s.tier] = s.reader
	}
	return l, sources, nil
}

// readCheckpoint reads a checkpoint from a file.
func readCheckpoint(keys checkpoint.Keys, flag, path string) (checkpoint.Checkpoint, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return checkpoint.Checkpoint{}, usagef("%s: %w", flag, err)
	}
	c, err := keys.Open(b)
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return c, nil
}

// errNotSealed says that the log knows nothing of a recording.
var errNotSealed = errors.New("not in the sealed log (what is younger than some minutes is in the AUDIT stream still)")
