package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/deploy/local/natsserver"
)

// up is the command that keeps everything running.
func up() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Keep servers, programs and a simulated platform running, and print how to use them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			config := story.DemoPlatform()
			config.LinkTTL = 24 * time.Hour
			stage, err := open(cmd.Context(), "", config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.Close()) }()
			guide, err := newGuide(cmd.Context(), stage)
			if err != nil {
				return err
			}
			guide.write(os.Stdout)
			<-cmd.Context().Done()
			fmt.Fprintln(os.Stderr, "\nending all, and removing what was stored …")
			return nil
		},
	}
}

// guide is what a person needs to use what runs.
type guide struct {
	stage *story.Stage
	// envFile sets the operator's environment when a shell reads it.
	envFile string
	// hook is a webhook that has not been sent.
	hook platform.Hook
	// missed is a file of webhooks that were never answered.
	missed string
}

// newGuide writes the operator's environment into a file, and offers a recording that nobody has been told of.
// It also lets the platform send one that can never be fetched, so that there is a dead letter to look at, and keeps one
// webhook back, so that there is one to import.
func newGuide(ctx context.Context, stage *story.Stage) (*guide, error) {
	g := &guide{stage: stage, envFile: filepath.Join(stage.Stack.Dir, "operator.env")}
	var env strings.Builder
	for _, line := range operatorEnv(stage) {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&env, "export %s=%s\n", name, quote(value))
	}
	env.WriteString("# `reconciler provision` has a NATS user of its own:\n")
	provisioner := stage.Fleet.Provisioner()
	for _, name := range slices.Sorted(maps.Keys(provisioner)) {
		fmt.Fprintf(&env, "# export %s=%s\n", name, quote(provisioner[name]))
	}
	if err := os.WriteFile(g.envFile, []byte(env.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write the operator's environment: %w", err)
	}
	rec, err := stage.Platform.Add(platform.Spec{ID: "rec-first", Size: 3_000_000, SendSize: true})
	if err != nil {
		return nil, err
	}
	g.hook = stage.Platform.Webhook(rec)
	if g.missed, err = missedWebhook(stage); err != nil {
		return nil, err
	}
	dead, err := story.DeadLink(stage.Platform)
	if err != nil {
		return nil, err
	}
	_, err = stage.Platform.Send(ctx, dead)
	return g, err
}

// missedWebhook writes the webhook of a further recording, which is never sent, into a file.
func missedWebhook(stage *story.Stage) (string, error) {
	rec, err := stage.Platform.Add(platform.Spec{ID: "rec-missed", Size: 1_000_000, SendSize: true})
	if err != nil {
		return "", err
	}
	file := filepath.Join(stage.Stack.Dir, "missed.ndjson")
	if err := os.WriteFile(file, append(stage.Platform.Webhook(rec).Body, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("write a webhook that was never answered: %w", err)
	}
	return file, nil
}

// write prints it all.
func (g *guide) write(out *os.File) {
	s := g.stage
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(t, "\nTwinreel is up. Everything is on this machine only, and is removed at the end (Ctrl-C).")
	row("webhooks", "%s/api/v1/webhooks/recording-complete", s.Ingress.URL())
	row("  secret", "%s", s.Secret)
	for _, p := range s.Fleet.Programs() {
		row(p.Name, "http://%s/readyz  http://%s/metrics  log %s", p.Admin, p.Admin, p.Log())
	}
	row("record API", "%s", s.Reconciler.RecordURL("<recording ID>"))
	row("  token", "%s", s.Fleet.APIToken())
	row("platform (media)", "%s", s.Platform.URL())
	n := s.Stack.NATSAccess
	row("NATS", "%s  CA %s  monitor %s", n.TLSURL, n.CA, n.MonitorURL)
	for _, user := range natsserver.Users() {
		row("  user", "%s  password %s", n.Logins[user].User, n.Logins[user].Password)
	}
	row("  may do all", "%s  password %s  (also without TLS: %s)", n.User, n.Password, n.URL)
	row("Redis", "%s  %s", s.Stack.RedisURL, s.Stack.RedisIs)
	a := s.Stack.S3Access
	row("S3", "%s  region %s  bucket %s", a.Endpoint, a.Region, a.Bucket)
	row("  worker's keys", "%s %s", a.Writer.Access, a.Writer.Secret)
	row("  reader's keys", "%s %s", a.Reader.Access, a.Reader.Secret)
	row("  owner's keys", "%s %s", a.Root.Access, a.Root.Secret)
	z := s.Stack.AzureAccess
	row("Azure Blob", "%s  container %s  account %s  key %s", z.ServiceURL, z.Container, z.Account, z.Key)
	row("  list it", "curl -s '%s?restype=container&comp=list&%s'", z.ContainerURL(), z.ReaderSAS)
	// Writing to a table that is in memory until here can only fail as any print can.
	_ = t.Flush()
	fmt.Fprintf(out, "\nSend a webhook (the signature is right; sent twice it is a duplicate, changed it is refused):\n\n%s\n", g.curl())
	id := g.hook.Event.RecordingID
	fmt.Fprintf(out, "\nSee what became of it, by the record API:\n\n  curl -s -H %s %s\n", quote("Authorization: Bearer "+s.Fleet.APIToken()), s.Reconciler.RecordURL(id))
	fmt.Fprintf(out, "\nBe the operator (one recording has no media any more, and is a dead letter of both tiers by now; one webhook never came):\n\n"+
		"  . %s\n", g.envFile)
	for _, command := range []string{
		"recording show " + id, "tiers", "tiers pause primary --reason 'trying it out' --yes", "tiers resume primary --yes",
		"dlq list", "audit verify", "import --source default " + g.missed + " --yes",
	} {
		fmt.Fprintf(out, "  bin/reconciler %s\n", command)
	}
	fmt.Fprintln(out)
}

// curl is the webhook as a command to paste.
func (g *guide) curl() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  curl -i %s/api/v1/webhooks/recording-complete", g.stage.Ingress.URL())
	for _, name := range []string{"Content-Type", "X-Hub-Signature-256"} {
		fmt.Fprintf(&b, " \\\n    -H %s", quote(name+": "+g.hook.Header.Get(name)))
	}
	fmt.Fprintf(&b, " \\\n    --data-binary %s", quote(string(g.hook.Body)))
	return b.String()
}

// quote makes a text one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
