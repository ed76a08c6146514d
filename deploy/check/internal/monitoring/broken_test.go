package monitoring_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/monitoring"
	"github.com/twinreel/twinreel/deploy/check/internal/monitoring/dashboard"
	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// given rules, cases, dashboard and runbooks with one thing broken, when they are checked, then that is what is complained of.
func TestWhatIsBrokenIsNoticed(t *testing.T) {
	whole := read(t)
	for _, c := range []struct {
		name  string
		harm  func(t *testing.T, w *world)
		check func(w world) error
		says  string
	}{
		{"a metric misnamed", inExpr("TwinreelTierParked", "twinreel_tier_parked", "twinreel_tier_barked"), exprs, "no program tells twinreel_tier_barked"},
		{"a metric misnamed in a record", inExpr("twinreel:recordings_late:increase1h", "seconds_count", "seconds_total"), exprs, "twinreel_redundancy_seconds_total"},
		{"a record misnamed", inExpr("TwinreelRedundancyBurnsSlow", "late:increase6h", "late:increase7h"), exprs, "late:increase7h"},
		{"a label grouped by that is not there", inExpr("TwinreelTierParked", "by (tier)", "by (store)"), exprs, "grouped by store"},
		{"a label joined on that is not there", inExpr("TwinreelNoWebhooks", "on (source)", "on (tier)"), exprs, "joined on tier"},
		{"a label matched that is not there", inExpr("TwinreelBacklogGrows", "kind=", "sort="), exprs, "not sort"},
		{"a value matched that never occurs", inExpr("TwinreelReconcileFails", `"failed"`, `"failure"`), exprs, `with result "failure"`},
		{"one of several values misspelt", inExpr("TwinreelFindingsRemain", "missing_backup", "misssing_backup"), exprs, `"misssing_backup"`},
		{"a value excluded that never occurs", inExpr("twinreel:recordings_judged:increase1h", "invalid_event", "invalid"), exprs, `with reason "invalid"`},
		{"the bound of a histogram that is none", inExpr("twinreel:recordings_late:increase1h", `900(\\.0)?`, "901"), exprs, `with le "901"`},
		{"a program that does not exist", inExpr("TwinreelProgramAbsent", `"reconciler"`, `"reconcile"`), exprs, `with program "reconcile"`},
		{"an expression that is none", inExpr("TwinreelUnsigned", ")", ""), exprs, "parse"},
		{"a metric that no program tells any more", func(_ *testing.T, w *world) { delete(w.exposed, "twinreel_unsigned") }, exprs, "no program tells twinreel_unsigned"},
		{"a metric misnamed on the dashboard", func(_ *testing.T, w *world) {
			i := slices.IndexFunc(w.board, func(e monitoring.Expr) bool { return strings.Contains(e.Text, "twinreel_backlog") })
			w.board[i].Text = strings.ReplaceAll(w.board[i].Text, "twinreel_backlog", "twinreel_back_log")
		}, exprs, "no program tells twinreel_back_log"},

		{"no severity", inRule("TwinreelNoLeader", func(r *monitoring.Rule) { delete(r.Labels, "severity") }), alerts, "TwinreelNoLeader: severity"},
		{"a severity that nobody routes", inRule("TwinreelNoLeader", func(r *monitoring.Rule) { r.Labels["severity"] = "critical" }), alerts, "critical"},
		{"no summary", inRule("TwinreelNoLeader", func(r *monitoring.Rule) { r.Annotations["summary"] = " " }), alerts, "no summary"},
		{"no description", inRule("TwinreelNoLeader", func(r *monitoring.Rule) { delete(r.Annotations, "description") }), alerts, "no description"},
		{"no runbook_url", inRule("TwinreelNoLeader", func(r *monitoring.Rule) { delete(r.Annotations, "runbook_url") }), alerts, "runbook_url"},
		{"another's runbook", inRule("TwinreelNoLeader", func(r *monitoring.Rule) {
			r.Annotations["runbook_url"] = strings.ReplaceAll(r.Annotations["runbook_url"], "no-leader", "unsigned")
		}), alerts, "runbook_url"},
		{"a text with a label that the expression drops", inRule("TwinreelNoLeader", func(r *monitoring.Rule) {
			r.Annotations["summary"] += " in {{ $labels.tier }}"
		}), templates, "names the label tier"},

		{"a runbook dropped", inBook("twinreel-unsigned.md", func(string) string { return "" }), alerts, "TwinreelUnsigned: no runbook"},
		{"a runbook without its end", inBook("twinreel-unsigned.md", cut("## Over when")), books, `no "## Over when"`},
		{"a runbook that does not say what is at risk", inBook("twinreel-unsigned.md", cut("**Is anything at risk?**")), books, "at risk"},
		{"a runbook of another title", inBook("twinreel-unsigned.md", cut("Unsigned")), books, "its title"},
		{"a command that is none", inBook("twinreel-tier-parked.md", swap("reconciler doctor ", "systemctl status ")), books, "systemctl status"},
		{"a placeholder that nobody knows", inBook("twinreel-tier-parked.md", swap("reconciler doctor ", "reconciler dlq show $ID ")), books, "what is $ID"},
		{"a runbook without an alert", inRule("TwinreelUnsigned", func(r *monitoring.Rule) { r.Alert = "TwinreelSigned" }), books, "no alert of that name"},

		{"no case in which it fires", func(_ *testing.T, w *world) { w.count("TwinreelUnsigned", 0, 1) }, cases, "no case in which it fires"},
		{"no case in which it does not", func(_ *testing.T, w *world) { w.count("TwinreelUnsigned", 1, 0) }, cases, "no case in which it does not fire"},
		{"a case of an alert that is no more", inRule("TwinreelUnsigned", func(r *monitoring.Rule) { r.Alert = "TwinreelSigned" }), cases, "no such alert"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := whole.clone()
			c.harm(t, &w)
			err := c.check(w)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
			if err := c.check(whole); err != nil {
				t.Errorf("what is whole: %v", err)
			}
		})
	}
}

func exprs(w world) error {
	return monitoring.CheckExprs(append(monitoring.Exprs(w.rules), w.board...), w.rules, w.exposed)
}
func alerts(w world) error    { return monitoring.CheckAlerts(w.rules, w.runbooks) }
func templates(w world) error { return monitoring.CheckTemplates(w.rules, w.exposed) }
func books(w world) error     { return monitoring.CheckRunbooks(w.rules, w.runbooks) }
func cases(w world) error     { return monitoring.CheckCases(w.rules, w.cases) }

// clone is a world of its own, to be broken.
func (w world) clone() world {
	w.rules, w.board, w.cases, w.exposed = slices.Clone(w.rules), slices.Clone(w.board), maps.Clone(w.cases), maps.Clone(w.exposed)
	for i, r := range w.rules {
		w.rules[i].Labels, w.rules[i].Annotations = maps.Clone(r.Labels), maps.Clone(r.Annotations)
	}
	return w
}

func (w *world) count(alert string, fires, rests int) {
	n := w.cases[alert]
	n.Fires, n.Rests = fires, rests
	w.cases[alert] = n
}

// inRule changes the rule of that name, which must be there.
func inRule(name string, change func(*monitoring.Rule)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		i := slices.IndexFunc(w.rules, func(r monitoring.Rule) bool { return r.Name() == name })
		if i < 0 {
			t.Fatalf("no rule %s", name)
		}
		change(&w.rules[i])
	}
}

// inExpr replaces a part of a rule's expression, which must be there.
func inExpr(name, from, to string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		inRule(name, func(r *monitoring.Rule) {
			if !strings.Contains(r.Expr, from) {
				t.Fatalf("%s has no %q", name, from)
			}
			r.Expr = strings.Replace(r.Expr, from, to, 1)
		})(t, w)
	}
}

// inBook copies the runbooks and changes one, which must change; "" removes it.
func inBook(file string, change func(string) string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(w.runbooks)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(string(text))
		if changed == string(text) {
			t.Fatalf("%s: nothing was changed", file)
		}
		if err = os.Remove(path); err == nil && changed != "" {
			err = os.WriteFile(path, []byte(changed), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.runbooks = dir
	}
}

func cut(part string) func(string) string { return swap(part, "") }

func swap(from, to string) func(string) string {
	return func(text string) string { return strings.Replace(text, from, to, 1) }
}

func TestADashboardThatWasChangedByHandIsNoticed(t *testing.T) {
	want, err := dashboard.JSON()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dashboard.json")
	if err := os.WriteFile(path, []byte(strings.Replace(string(want), "now-6h", "now-1h", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := monitoring.CheckWritten(path, want); err == nil {
		t.Error("a file that is not what the description gives was accepted")
	}
}

func TestDumpsThatAreNoneAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"another program's": "twinreel_build_info{program=\"reconciler\"} 1\n",
		"not a series":      "<html>\n",
		"broken labels":     "twinreel_build_info{program=ingress} 1\n",
		"nothing":           "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "ingress.prom"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if e, err := monitoring.ReadExposed(dir, repo.Programs()[:1]); err == nil {
				t.Errorf("read as %v", e)
			}
		})
	}
}

// given rules with one thing broken in their meaning, when promtool plays the cases, then one of them fails.
func TestRulesThatMeanSomethingElseFailTheirCases(t *testing.T) {
	path, err := promtool.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(repo.Path(t, "deploy", "monitoring", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, cases, from, to string }{
		{"one instance speaks for all", "programs_tiers.yaml", "min by (tier) (twinreel_breaker_state) > 0", "max by (tier) (twinreel_breaker_state) > 0"},
		{"half-open counts as well", "programs_tiers.yaml", "(twinreel_breaker_state) > 0", "(twinreel_breaker_state) > 1"},
		{"a bound that is reached", "audit_streams.yaml", "(twinreel_stream_days_to_full) < 7", "(twinreel_stream_days_to_full) <= 7"},
		{"a counter that is compared by its value", "webhooks_fail.yaml", `sum(rate(twinreel_webhooks_total{code="unavailable"}[5m]))`, `sum(twinreel_webhooks_total{code="unavailable"})`},
		{"another severity", "audit_streams.yaml", "severity: page", "severity: ticket"},
		{"a text that says something else", "programs_tiers.yaml", "denies its worker", "denies its reader"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.ReplaceAll(string(text), c.from, c.to)
			if changed == string(text) {
				t.Fatalf("the rules have no %q", c.from)
			}
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "rules_test"), 0o700); err != nil {
				t.Fatal(err)
			}
			played, err := os.ReadFile(repo.Path(t, "deploy", "monitoring", "rules_test", c.cases))
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string][]byte{"rules.yaml": []byte(changed), "rules_test/" + c.cases: played} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := play(t, path, filepath.Join(dir, "rules_test", c.cases)); err == nil {
				t.Errorf("all cases passed:\n%s", out)
			} else if !strings.Contains(out, "FAILED") {
				t.Errorf("promtool failed for another reason: %v\n%s", err, out)
			}
		})
	}
}
