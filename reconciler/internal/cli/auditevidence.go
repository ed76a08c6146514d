package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/evidence"
)

// gathered is what audit evidence prints.
type gathered struct {
	File     string            `json:"file"`
	Leaves   int               `json:"leaves"`
	Epochs   int               `json:"epochs"`
	Signed   bool              `json:"signed"` // signatures were checked
	Record   evidence.Record   `json:"record"`
	Answers  []evidence.Answer `json:"stores"`
	Duration float64           `json:"seconds"`
}

func (a *app) auditEvidence() *cobra.Command {
	var flags logFlags
	var out string
	c := &cobra.Command{
		Use:   "evidence ID",
		Short: "Write one self-contained file that proves what the log says of a recording",
		Long: `Write one file (a ZIP archive) with all that can be proven of a recording: the log's lines, for each the proof that it is in the
log, the signed checkpoints, the public key, what both stores answer now, and how to check all of it with Python or with
openssl and sha256sum, without Twinreel. ID is the recording ID, or source/recording ID for a source other than the default
one. An existing file is not overwritten.`,
		Example: `  reconciler audit evidence rec-8a7f --out rec-8a7f.zip
  reconciler audit evidence emea/rec-8a7f --store backup`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := keyOf(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				out = "evidence-" + strings.ReplaceAll(key, "/", "-") + ".zip"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), logTimeout)
			defer cancel()
			g, err := a.gather(ctx, flags, key, out)
			if err != nil {
				return err
			}
			return a.printOne(g, func(w io.Writer) error {
				return writeLines(w, fmt.Sprintf("%s: %d lines of the log in %d epochs, each proven", g.File, g.Leaves, g.Epochs))
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&out, "out", "", "the file (default evidence-ID.zip)")
	return c
}

// gather finds, proves and writes.
func (a *app) gather(ctx context.Context, flags logFlags, key, out string) (gathered, error) {
	began := time.Now()
	l, _, err := flags.log(ctx, a)
	if err != nil {
		return gathered{}, err
	}
	found, err := l.FindIn(ctx, key)
	if err != nil {
		return gathered{}, err
	}
	var leaves []audit.Leaf
	for _, f := range found {
		leaves = append(leaves, f.Leaves...)
	}
	if len(leaves) == 0 {
		return gathered{}, fmt.Errorf("recording %s: %w", key, errNotSealed)
	}
	e := evidence.Evidence{Found: found, Made: began, Record: evidence.RecordOf(key, leaves, began)}
	if e.Proofs, err = evidence.Gather(ctx, found); err != nil {
		return gathered{}, err
	}
	objects := []string{event.SidecarKey(key)}
	if media := e.Record.Key(); media != "" {
		objects = append([]string{media}, objects...)
	}
	if flags.dir == "" {
		e.Answers = evidence.Ask(ctx, l.Stores, objects, time.Now)
	}
	for _, f := range found {
		e.Keys = append(e.Keys, l.Keys.Signer(f.Note))
	}
	if err := writeNew(out, e.Write); err != nil {
		return gathered{}, err
	}
	return gathered{out, len(leaves), len(found), l.Keys.Any(), e.Record, e.Answers, time.Since(began).Seconds()}, nil
}

// writeNew writes a file that is not there yet.
func writeNew(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
