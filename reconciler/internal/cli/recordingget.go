package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
	"github.com/twinreel/twinreel/reconciler/internal/erasure"
	"github.com/twinreel/twinreel/reconciler/internal/readback"
)

// got is what get prints.
type got struct {
	IdempotencyKey string    `json:"idempotencyKey"`
	File           string    `json:"file"`
	Tier           tier.Tier `json:"tier"` // where it was read
	Bucket         string    `json:"bucket"`
	ObjectKey      string    `json:"objectKey"`
	VersionID      string    `json:"versionId"`
	Size           int64     `json:"size"`
	SHA256         string    `json:"sha256"`
	CRC64NVME      string    `json:"crc64nvme"`
}

// getFlags are the flags of get.
type getFlags struct {
	out, tier string
	force     bool
}

func (a *app) recordingGet() *cobra.Command {
	var flags getFlags
	c := &cobra.Command{
		Use:   "get ID --out FILE [--tier TIER]",
		Short: "Fetch a recording back, verified",
		Long: `Fetch a recording back from a store into a file. Every byte is hashed on its way, and size, sha256 and crc64nvme are held
against the recording's sidecar; only then does the file get its name, so that a file of that name is always the whole
recording. Without --tier it comes from primary, and where that copy is away or not as agreed, from backup; which one is
said. What breaks off is taken up where it was, what does not move for ` + readback.Stall.String() + ` is asked for again, a few times.

Who reads what is audited, before a byte is read: without NATS nothing is. Nothing is written to stdout, since bytes cannot
be taken back from a pipe when the last of them proves that they were wrong.`,
		Example: `  reconciler recording get rec-8a7f --out rec-8a7f.wav
  reconciler recording get emea/rec-8a7f --out /srv/case-4711/call.mp4 --tier backup -o json | jq -r .sha256`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := keyOf(args[0])
			if err != nil {
				return err
			}
			order, err := flags.check()
			if err != nil {
				return err
			}
			return a.runGet(cmd.Context(), key, flags, order)
		},
	}
	c.Flags().StringVar(&flags.out, "out", "", "the file to write (required)")
	c.Flags().StringVar(&flags.tier, "tier", "", "from this tier alone: primary or backup (default: whichever is well, primary first)")
	c.Flags().BoolVar(&flags.force, "force", false, "replace FILE if it exists")
	_ = c.RegisterFlagCompletionFunc("tier", cobra.FixedCompletions([]string{tier.Primary.String(), tier.Backup.String()}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// check returns the tiers to try, in order.
func (f getFlags) check() ([]tier.Tier, error) {
	switch f.out {
	case "":
		return nil, usagef("--out: want the file to write")
	case stdinName:
		return nil, usagef("--out -: unverified bytes cannot be taken back from a pipe; name a file")
	}
	if f.tier == "" {
		all := tier.All()
		return all[:], nil
	}
	t, err := tier.Parse(f.tier)
	if err != nil {
		return nil, usagef("--tier: %w", err)
	}
	return []tier.Tier{t}, nil
}

// getting is one recording on its way back.
type getting struct {
	*app
	conn   *connection
	key    string
	agreed digest.Entry
	stores map[tier.Tier]objstore.Reader
	file   *readback.File
}

func (a *app) runGet(ctx context.Context, key string, flags getFlags, order []tier.Tier) error {
	var s config.Fetch
	if err := a.load(&s); err != nil {
		return err
	}
	conn, err := a.connect(ctx, s.NATS)
	if err != nil {
		return err
	}
	defer conn.close()
	if err := notForgotten(ctx, conn, key); err != nil {
		return err
	}
	stores, err := daemon.OpenStores(ctx, s.Stores, func(text string) { a.say("aws credentials: %s", text) })
	if err != nil {
		return err
	}
	g := getting{app: a, conn: conn, key: key, stores: stores}
	if g.agreed, err = g.agree(ctx); err != nil {
		return fmt.Errorf("recording %s: %w", key, err)
	}
	if g.file, err = readback.CreateFile(flags.out, flags.force); err != nil {
		return err
	}
	result, err := g.first(ctx, order)
	if err != nil {
		g.file.Drop()
		return fmt.Errorf("recording %s: %w", key, err)
	}
	if err := g.file.Keep(); err != nil {
		return err
	}
	result.File = flags.out
	return a.printOne(result, func(w io.Writer) error { return writeGot(w, result) })
}

// notForgotten refuses to bring back what was erased on purpose, also where a copy is still there.
func notForgotten(ctx context.Context, conn *connection, key string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	stones, err := erasure.Open(ctx, conn.js)
	if err != nil {
		return err
	}
	known, err := stones.Known(ctx, key)
	if err == nil && known {
		err = fmt.Errorf("recording %s was forgotten, and is not brought back (see recording show)", key)
	}
	return err
}

// agree asks both stores, also where one tier alone is to be read: two sidecars that contradict each other are told.
func (g *getting) agree(ctx context.Context) (digest.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	return readback.Agreed(ctx, g.stores, g.key, func(t tier.Tier, err error) {
		if errors.Is(err, objstore.ErrNotExist) {
			g.say("store %s has no sidecar of it", t)
			return
		}
		g.say("the sidecar in store %s cannot be read: %s", t, fault.Text(err))
	})
}

// first reads it from the first tier whose copy is well.
func (g *getting) first(ctx context.Context, order []tier.Tier) (got, error) {
	var failures []error
	for _, t := range order {
		result, err := g.from(ctx, t)
		if err == nil {
			g.say("read from %s, and verified", t)
			return result, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", t, err))
		if ctx.Err() != nil || fault.PartOf(err) == fault.Audit {
			break
		}
		if errors.Is(err, readback.ErrDiffers) {
			g.say("evidence: the copy in %s differs from what was agreed on; see it with once --deep", t)
		}
		if len(failures) < len(order) {
			g.say("not from %s: %s", t, fault.Text(err))
		}
	}
	return got{}, errors.Join(failures...)
}

// from reads one tier's copy into the file, once the log has who reads it.
func (g *getting) from(ctx context.Context, t tier.Tier) (got, error) {
	store := g.stores[t]
	look, cancel := context.WithTimeout(ctx, changeTimeout)
	info, err := readback.Well(look, store, g.agreed)
	if err == nil {
		err = g.audit(look, t, info)
	}
	cancel()
	if err != nil {
		return got{}, err
	}
	if err := g.file.Restart(); err != nil {
		return got{}, err
	}
	r := readback.New()
	read, end := g.reading(g.agreed.Size)
	defer end()
	r.Read = read
	if err := r.Copy(ctx, store, g.agreed.ObjectKey, g.agreed.Digest, g.file); err != nil {
		return got{}, err
	}
	return got{
		IdempotencyKey: g.key, Tier: t, Bucket: store.Bucket(), ObjectKey: g.agreed.ObjectKey, VersionID: info.VersionID, Size: g.agreed.Size,
		SHA256: g.agreed.SHA256, CRC64NVME: digest.EncodeCRC64(g.agreed.CRC64),
	}, nil
}

func (g *getting) audit(ctx context.Context, t tier.Tier, info objstore.Info) error {
	err := queue.NewPublisher(g.conn.nc, g.conn.js).Audit(ctx, event.Audit{
		Kind: event.AuditRead, Tier: t.String(), Time: time.Now(),
		Data: event.AuditData{
			Tier: t.String(), IdempotencyKey: g.key, ObjectKey: info.Key, Bucket: g.stores[t].Bucket(), ETag: info.ETag, VersionID: info.VersionID,
			SHA256: g.agreed.SHA256, CRC64NVME: digest.EncodeCRC64(g.agreed.CRC64), Size: &g.agreed.Size, By: operator(),
		},
	})
	if err != nil {
		return fmt.Errorf("the read cannot be audited, so nothing is read: %w", err)
	}
	return nil
}

func writeGot(w io.Writer, r got) error {
	version := r.Bucket + "/" + r.ObjectKey
	if r.VersionID != "" {
		version += ", version " + r.VersionID
	}
	return writeTable(w, nil, [][]string{
		{"recording", r.IdempotencyKey},
		{"file", r.File},
		{"from", r.Tier.String() + ": " + version},
		{"size", bytesText(r.Size)},
		{"sha256", r.SHA256},
		{"crc64nvme", r.CRC64NVME},
	})
}
