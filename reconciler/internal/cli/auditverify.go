package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/verify"
)

// verdict is what audit verify prints.
type verdict struct {
	Whole    bool             `json:"whole"`
	Reports  []verify.Report  `json:"reports"`
	Findings []verify.Finding `json:"findings"` // between the stores
}

func (a *app) auditVerify() *cobra.Command {
	var flags logFlags
	var trusted []string
	var remember string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the sealed log was never changed",
		Long: `Prove the sealed log from a store's copy alone: every signature, every hash, every object is made once more from the log's
lines and compared byte by byte. With both stores each is proven by itself, and they are held against each other. With --dir
it needs no store, no NATS and no private key: only a copy of audit/ and the verifier key.

A log that was rewritten or rolled back as a whole, and signed again with the same key, contradicts the other store's copy and
every checkpoint that anybody has kept: --checkpoint gives one, --remember keeps the newest one in a file from one time to the
next. Objects behind the last checkpoint, told as "ahead", are of a sealing that is not done, or was undone.

Exit code 1 when anything is wrong: what, in which object, at which line of the log, and what was expected.`,
		Example: `  reconciler audit verify
  reconciler audit verify --store backup --remember /var/lib/twinreel/checkpoint
  reconciler audit verify --dir ./copy --key audit.example.com+5c8a1f0e+AbC… -o json | jq .reports[].findings`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			keys, err := flags.keys(a)
			if err != nil {
				return err
			}
			if !keys.Any() {
				return usagef("--key: want the verifier key of the log, or TWINREEL_AUDIT_KEY")
			}
			seen, err := a.seen(keys, trusted, remember)
			if err != nil {
				return err
			}
			sources, err := flags.open(ctx, a)
			if err != nil {
				return err
			}
			v, err := proveAll(ctx, sources, keys, seen)
			if err != nil {
				return err
			}
			if v.Whole && remember != "" {
				if err := a.rememberNewest(keys, v.Reports, remember); err != nil {
					return err
				}
			}
			if err := a.printOne(v, func(w io.Writer) error { return writeVerdict(w, v) }); err != nil {
				return err
			}
			if !v.Whole {
				return errors.New("the sealed log is not whole")
			}
			return nil
		},
	}
	flags.add(c)
	c.Flags().StringArrayVar(&trusted, "checkpoint", nil, "file with a checkpoint that the log must still agree with; may be given several times")
	c.Flags().StringVar(&remember, "remember", "", "file that holds the newest checkpoint from one time to the next")
	return c
}

// seen returns the checkpoints that were seen before.
func (a *app) seen(keys checkpoint.Keys, trusted []string, remember string) ([]checkpoint.Checkpoint, error) {
	var out []checkpoint.Checkpoint
	for _, path := range trusted {
		c, err := readCheckpoint(keys, "--checkpoint", path)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if remember == "" {
		return out, nil
	}
	if _, err := os.Stat(remember); errors.Is(err, fs.ErrNotExist) {
		a.say("%s is not there yet: the newest checkpoint is put there once the log is proven", remember)
		return out, nil
	}
	c, err := readCheckpoint(keys, "--remember", remember)
	return append(out, c), err
}

// rememberNewest puts the newest of the proven checkpoints into the file, in one step.
func (a *app) rememberNewest(keys checkpoint.Keys, reports []verify.Report, path string) error {
	var newest checkpoint.Checkpoint
	var note []byte
	for _, r := range reports {
		c, err := keys.Open(r.Newest())
		if err != nil {
			continue // nothing is sealed there yet
		}
		if c.Epoch > newest.Epoch || c.Epoch == newest.Epoch && c.Size > newest.Size {
			newest, note = c, r.Newest()
		}
	}
	if note == nil {
		return nil
	}
	if err := os.WriteFile(path+".new", note, 0o644); err != nil {
		return fmt.Errorf("--remember: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("--remember: %w", err)
	}
	return nil
}

// proveAll verifies each copy, and holds two against each other.
func proveAll(ctx context.Context, sources []source, keys checkpoint.Keys, seen []checkpoint.Checkpoint) (verdict, error) {
	v := verdict{Whole: true, Reports: []verify.Report{}, Findings: []verify.Finding{}}
	for _, s := range sources {
		r, err := (&verify.Verifier{Name: s.name, Reader: s.reader, Keys: keys, Trusted: seen}).Verify(ctx)
		if err != nil {
			return verdict{}, err
		}
		v.Whole = v.Whole && len(r.Findings) == 0
		v.Reports = append(v.Reports, r)
	}
	if len(v.Reports) == 2 {
		v.Findings = append(v.Findings, verify.Compare(v.Reports[0], v.Reports[1], time.Now())...)
		v.Whole = v.Whole && len(v.Findings) == 0
	}
	return v, nil
}

func writeVerdict(w io.Writer, v verdict) error {
	var rows, wrong [][]string
	for _, r := range v.Reports {
		for _, e := range r.Epochs {
			rows = append(rows, []string{r.Store, string(e.Epoch), number(e.Size), number(e.Checkpoints), number(e.Gaps), number(e.Ahead), e.Root.String()})
		}
		if len(r.Epochs) == 0 {
			rows = append(rows, []string{r.Store, "nothing is sealed"})
		}
		for _, f := range r.Findings {
			wrong = append(wrong, findingRow(f))
		}
		if r.More > 0 {
			wrong = append(wrong, []string{r.Store, "", "", "", fmt.Sprintf("and %d more", r.More)})
		}
	}
	for _, f := range v.Findings {
		wrong = append(wrong, findingRow(f))
	}
	if err := writeTable(w, []string{"STORE", "EPOCH", "LEAVES", "CHECKPOINTS", "GAPS", "AHEAD", "ROOT"}, rows); err != nil {
		return err
	}
	if len(wrong) == 0 {
		return writeLines(w, "", "whole: every object is what the log's lines and the signatures say")
	}
	if err := writeLines(w, ""); err != nil {
		return err
	}
	return writeTable(w, []string{"STORE", "PROBLEM", "LEAF", "OBJECT", "WHAT"}, wrong)
}

func findingRow(f verify.Finding) []string {
	leaf := ""
	if f.Leaf != nil {
		leaf = number(*f.Leaf)
	}
	return []string{f.Store, string(f.Problem), leaf, f.Object, f.Detail}
}
