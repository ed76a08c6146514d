package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestWrongUsageIsExitCode2AndSaysWhatIsWanted(t *testing.T) {
	for args, words := range map[string]string{
		"":                        "want one of:",
		"dlq":                     "dlq: want one of: discard list replay show",
		"recording":               "want one of: forget get show",
		"audit":                   "want one of: adopt evidence keygen show verify",
		"nope":                    `"nope"`,
		"dlq nope":                `"nope"`,
		"--nope":                  "--nope",
		"tiers -o yaml":           "-o",
		"tiers extra":             `"extra"`,
		"tiers pause":             "want one tier",
		"tiers pause both":        `"both"`,
		"tiers pause primary":     "--reason",
		"tiers resume":            "want one tier",
		"dlq discard":             "--reason",
		"import":                  "want one file",
		"import x.ndjson":         "--source",
		"run now":                 `"now"`,
		"provision --per-day":     "per-day",
		"dlq list --limit many":   "limit",
		"recording show rec-1 -x": "-x",
	} {
		t.Run(args, func(t *testing.T) {
			r := runWith(t, nil, strings.Fields(args)...)
			if r.code != 2 || !strings.Contains(r.stderr, words) || r.stdout != "" || strings.Count(r.stderr, "\n") > 2 {
				t.Errorf("got %+v, want exit code 2 and %q", r, words)
			}
		})
	}
}

// commands calls visit for each command that the program has by itself.
func commands(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		commands(child, visit)
	}
}

func TestEachCommandHasHelpWithExamples(t *testing.T) {
	commands((&app{}).root(), func(c *cobra.Command) {
		args := slices.Concat(strings.Fields(c.CommandPath())[1:], []string{"--help"})
		r := runWith(t, nil, args...)
		if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "Examples:\n  ") || !strings.Contains(r.stdout, "Usage:") {
			t.Errorf("%v: got %+v", args, r)
		}
	})
}

func TestVersionAndCompletion(t *testing.T) {
	if r := runWith(t, nil, "--version"); r.code != 0 || !regexp.MustCompile(`^reconciler \S+\n$`).MatchString(r.stdout) {
		t.Errorf("got %+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := runWith(t, nil, "completion", shell); r.code != 0 || len(r.stdout) < 1000 {
			t.Errorf("%s: exit code %d, %d bytes", shell, r.code, len(r.stdout))
		}
	}
	if r := runWith(t, nil, "__complete", "dlq", "list", "--reason", "source"); !strings.Contains(r.stdout, "source_gone\n") {
		t.Errorf("reasons: got %+v", r)
	}
}

func TestSettingsListEveryVariableOnce(t *testing.T) {
	list := decode[[]settings.Variable](t, runWith(t, nil, "--settings", "-o", "json").stdout)
	seen := map[string]bool{}
	for _, v := range list {
		if seen[v.Name] || v.Meaning == "" {
			t.Errorf("twice, or without a meaning: %+v", v)
		}
		seen[v.Name] = true
	}
	for _, name := range []string{"TWINREEL_NATS_URL", "TWINREEL_NATS_MONITOR_URL", "TWINREEL_DLQ_MAX_BYTES", "TWINREEL_REDIS_PREFIX", "TWINREEL_LEDGER_TTL"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestREADMEShowsTheSettingsAsTheyAre(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "<!-- settings:begin -->\n")
	have, _, found := strings.Cut(rest, "<!-- settings:end -->")
	want := runWith(t, nil, "--settings").stdout
	if !found || strings.TrimSpace(have) != strings.TrimSpace(want) {
		t.Errorf("README.md is out of date: put the output of `reconciler --settings` between its settings marks:\n%s", want)
	}
}

func TestACommandNeedsOnlyTheSettingsOfWhatItTalksTo(t *testing.T) {
	b := provisioned(t)
	b.env["TWINREEL_REDIS_URL"] = "wrong"
	b.ok("tiers")
	b.ok("dlq", "list")
	b.wants(2, "TWINREEL_REDIS_URL: ", "recording", "show", "rec-1")
	b.env["TWINREEL_DLQ_MAX_BYTES"] = "wrong"
	b.ok("tiers")
	b.wants(2, "TWINREEL_DLQ_MAX_BYTES: ", "provision")
}

// The built program, as an operator starts it.
func TestTheBinaryRuns(t *testing.T) {
	b := newBed(t)
	path := filepath.Join(testenv.Need(t, testenv.Bin), "reconciler")
	run := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		for name, value := range b.env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run(1, "tiers")
	run(0, "provision")
	if out := run(0, "tiers"); !strings.Contains(out, "backup") {
		t.Errorf("got %s", out)
	}
	if out := run(2, "dlq", "replay"); !strings.Contains(out, "--yes") {
		t.Errorf("got %s", out)
	}
	run(2, "nope")
}

// NATS answers what it refuses by nothing: a command must neither wait for that, nor call it a time-out.
func TestARefusedPermissionIsNamedAtOnce(t *testing.T) {
	b := provisioned(t)
	b.env["TWINREEL_NATS_USER"] = account + "-ingress"
	for args, words := range map[string]string{
		"dlq list":                  `user "` + account + `-ingress" may not subscribe to "_INBOX.reconciler.>"; log in as the user of reconciler`,
		"tiers":                     `may not subscribe to "_INBOX.reconciler.>"`,
		"provision":                 `may not subscribe to "_INBOX.provisioner.>"; log in as the user of provisioner`,
		"recording show rec1":       `refused by NATS`,
		"tiers resume backup --yes": `refused by NATS`,
	} {
		r := b.wants(1, words, strings.Fields(args)...)
		if strings.Contains(r.stderr, "deadline") {
			t.Errorf("reconciler %s waited for its time-out: %s", args, r.stderr)
		}
	}
	b.env["TWINREEL_NATS_USER"] = account + "-reconciler"
	b.wants(1, `may not subscribe to "_INBOX.provisioner.>"`, "provision")
}
