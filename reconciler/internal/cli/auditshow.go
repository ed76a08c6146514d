package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/audit"
)

// standing is how far one epoch of the log is sealed in one store.
type standing struct {
	Tier        string `json:"tier"`
	Epoch       string `json:"epoch"`
	Size        int64  `json:"size"`
	Root        string `json:"root"`
	Checkpoints int64  `json:"checkpoints"`
	Follows     string `json:"follows"` // epoch, "" for none
}

// entry is a leaf of a recording.
type entry struct {
	At     time.Time `json:"at"`
	Tier   string    `json:"tier"`
	Kind   string    `json:"kind"`
	Object string    `json:"objectKey"`
	Size   *int64    `json:"size"`
	SHA256 string    `json:"sha256"`
	CRC64  string    `json:"crc64nvme"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Epoch  string    `json:"epoch"`
	Leaf   int64     `json:"leaf"`
}

func (a *app) auditShow() *cobra.Command {
	var flags logFlags
	c := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show how far the log is sealed, or what it says of a recording",
		Long: `Show how far the log is sealed in each store, epoch by epoch; with an ID, what the sealed log says of that recording, also
years after streams and Redis have forgotten it. ID is the recording ID, or source/recording ID for a source other than the
default one. Nothing is proven here but the checkpoints' signatures: see audit verify and audit evidence. Unknown: exit code 1.`,
		Example: `  reconciler audit show
  reconciler audit show rec-8a7f
  reconciler audit show rec-8a7f --store backup -o ndjson | jq -r .kind`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key := ""
			if len(args) == 1 {
				var err error
				if key, err = keyOf(args[0]); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), logTimeout)
			defer cancel()
			l, _, err := flags.log(ctx, a)
			if err != nil {
				return err
			}
			if key == "" {
				return a.showStanding(ctx, l)
			}
			return a.showEntries(ctx, l, key)
		},
	}
	flags.add(c)
	return c
}

func (a *app) showStanding(ctx context.Context, l *audit.Log) error {
	epochs, err := l.Copies(ctx)
	if err != nil {
		return err
	}
	list := []standing{}
	for _, copies := range epochs {
		for _, c := range copies {
			first, err := l.First(ctx, c)
			if err != nil {
				return err
			}
			list = append(list, standing{Tier: c.Tier.String(), Epoch: string(c.Epoch), Size: c.Size, Root: c.Root.String(), Checkpoints: c.Serial, Follows: string(first.Previous.Epoch)})
		}
	}
	return printList(a, list, "nothing is sealed yet", []string{"EPOCH", "STORE", "LEAVES", "CHECKPOINTS", "ROOT", "FOLLOWS"}, func(s standing) []string {
		return []string{s.Epoch, s.Tier, number(s.Size), number(s.Checkpoints), s.Root, s.Follows}
	})
}

func (a *app) showEntries(ctx context.Context, l *audit.Log, key string) error {
	leaves, err := l.Find(ctx, key)
	if err != nil {
		return err
	}
	if len(leaves) == 0 {
		return fmt.Errorf("recording %s: %w", key, errNotSealed)
	}
	list := []entry{}
	for _, l := range leaves {
		d := l.Data()
		list = append(list, entry{l.Stored, l.Tier(), string(l.Kind()), d.ObjectKey, d.Size, d.SHA256, d.CRC64NVME, d.Reason, d.By, string(l.Epoch), l.Index})
	}
	return printList(a, list, "", []string{"AT", "TIER", "WHAT", "OBJECT", "CRC64NVME", "REASON", "BY", "LEAF"}, func(e entry) []string {
		return []string{stamp(&e.At), e.Tier, e.Kind, e.Object, e.CRC64, shorten(e.Reason, 40), e.By, number(e.Leaf)}
	})
}

// writeLines writes lines of text.
func writeLines(w io.Writer, lines ...string) error {
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return nil
}
