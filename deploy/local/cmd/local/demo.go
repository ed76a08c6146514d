package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// demo is the command that plays the story.
func demo() *cobra.Command {
	var bin string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the main job on real servers, with S3 failing half-way, and prove what came of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := roomFor(needed); err != nil {
				return err
			}
			stage, err := open(cmd.Context(), bin, story.DemoPlatform())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.Close()) }()
			screen := story.NewScreen(os.Stdout, terminal(os.Stdout))
			defer screen.Close()
			screen.Say("running: nats-server (JetStream, every write synced), %s, versitygw (S3), Azurite (Azure Blob), "+
				"ingress, worker-primary, worker-backup, reconciler", stage.Stack.RedisIs)
			sum, err := story.Play(cmd.Context(), stage, screen, story.Demo())
			if err != nil {
				return err
			}
			if !sum.Write(os.Stdout) {
				return exitCode(1)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&bin, "bin", "", "run the programs of this folder, such as scripts that run their images, rather than build them")
	return cmd
}

// open gets what is missing, and starts servers, programs and platform. The programs are built, unless bin has them.
func open(ctx context.Context, bin string, p platform.Config) (*story.Stage, error) {
	return openTold(ctx, bin, story.Env(), p)
}

// openTold is open with these settings of the programs.
func openTold(ctx context.Context, bin string, env map[string]string, p platform.Config) (*story.Stage, error) {
	t, set, err := ensure(ctx)
	if err != nil {
		return nil, err
	}
	if bin == "" {
		fmt.Fprintln(t.Say, "building the programs …")
		if err := t.Build(ctx); err != nil {
			return nil, err
		}
		bin = t.Bin()
	}
	fmt.Fprintln(t.Say, "starting servers and programs …")
	return story.Open(ctx, story.StageConfig{Set: set, Bin: bin, Env: env, Platform: p})
}

// needed is what the story puts on disk at the most: two copies of 1.5 GB, with room to spare.
const needed = 4 << 30

// roomFor fails when the folder for temporary files has no room for n bytes.
func roomFor(n uint64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(os.TempDir(), &fs); err != nil {
		return fmt.Errorf("ask how much room is left in %s: %w", os.TempDir(), err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < n {
		return fmt.Errorf("%s has %s left, and the demonstration needs %s: make room, or set TMPDIR to a folder elsewhere",
			os.TempDir(), story.Size(int64(free)), story.Size(int64(n)))
	}
	return nil
}

// terminal tells whether a person looks at the file.
func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
