package monitoring_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/monitoring"
	"github.com/twinreel/twinreel/deploy/check/internal/monitoring/dashboard"
	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// promtool is Prometheus' own checker, without the ways in which Prometheus finds its targets in clouds.
var promtool = tools.Tool{
	Name: "promtool", Package: "github.com/prometheus/prometheus/cmd/promtool", Version: "v0.316.0", Tags: "remove_all_sd",
}

// folder is where the dumps are; TestMain makes it and removes it.
var folder string

// dumps has the four programs run on real servers, once for all tests that need it, and keeps what they told in the folder.
var dumps = sync.OnceValue(func() error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(root, "bin", "local"), "metrics", "--out", folder)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
})

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "twinreel-metrics-"); err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for what the programs tell:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder) // below the folder for temporary files
	os.Exit(code)
}

// world is all that is checked.
type world struct {
	rules    []monitoring.Rule
	cases    monitoring.Cases
	files    []string // of the cases
	board    []monitoring.Expr
	runbooks string
	exposed  monitoring.Exposed
}

func read(t *testing.T) world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := world{runbooks: repo.Path(t, "deploy", "runbooks")}
	var err error
	w.rules, err = monitoring.ReadRules(repo.Path(t, "deploy", "monitoring", "rules.yaml"))
	must(err)
	w.cases, w.files, err = monitoring.ReadCases(repo.Path(t, "deploy", "monitoring", "rules_test"))
	must(err)
	w.board, err = monitoring.ReadDashboard(repo.Path(t, "deploy", "monitoring", "dashboard.json"))
	must(err)
	must(dumps())
	w.exposed, err = monitoring.ReadExposed(folder, repo.Programs())
	must(err)
	return w
}

func TestRulesAreWellFormedAndDoWhatTheirCasesSay(t *testing.T) {
	path, err := promtool.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, files, err := monitoring.ReadCases(repo.Path(t, "deploy", "monitoring", "rules_test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", repo.Path(t, "deploy", "monitoring", "rules.yaml")},
		{"check", "config", repo.Path(t, "deploy", "monitoring", "prometheus.yaml")},
	} {
		if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args[:2], err, out)
		}
	}
	for _, file := range files {
		if out, err := play(t, path, file); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
		}
	}
}

// play has promtool play a file of cases.
func play(t *testing.T, promtool, cases string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", cases).CombinedOutput()
	return string(out), err
}

func TestEachAlertSaysWhatWhoeverIsWokenNeeds(t *testing.T) {
	w := read(t)
	for _, err := range []error{
		monitoring.CheckAlerts(w.rules, w.runbooks), monitoring.CheckTemplates(w.rules, w.exposed), monitoring.CheckRunbooks(w.rules, w.runbooks),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestEachAlertHasACaseInWhichItFiresAndOneInWhichNot(t *testing.T) {
	w := read(t)
	if err := monitoring.CheckCases(w.rules, w.cases); err != nil {
		t.Error(err)
	}
}

func TestRulesAndDashboardAreAboutWhatTheRunningProgramsTell(t *testing.T) {
	w := read(t)
	if err := monitoring.CheckExprs(append(monitoring.Exprs(w.rules), w.board...), w.rules, w.exposed); err != nil {
		t.Error(err)
	}
}

func TestTheDashboardIsWhatItsDescriptionGives(t *testing.T) {
	want, err := dashboard.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := monitoring.CheckWritten(repo.Path(t, "deploy", "monitoring", "dashboard.json"), want); err != nil {
		t.Error(err)
	}
}
