package monitoring_test

import (
	"context"
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

// dumps has the four programs run on real servers, once for all tests, and returns the folder with what they told.
var dumps = sync.OnceValues(func() (string, error) {
	root, err := repo.Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "twinreel-metrics-")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(root, "bin", "local"), "metrics", "--out", dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return dir, cmd.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := dumps(); err == nil {
		_ = os.RemoveAll(dir) // a folder for temporary files
	}
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
	dir, err := dumps()
	must(err)
	w.exposed, err = monitoring.ReadExposed(dir, repo.Programs())
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
		append([]string{"test", "rules"}, files...),
	} {
		if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args[:2], err, out)
		}
	}
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
