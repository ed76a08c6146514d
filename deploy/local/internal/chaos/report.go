package chaos

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is a whole run.
type Report struct {
	Date      time.Time
	Commit    string
	Cores     int
	Go        string
	Kernel    string
	Servers   []string
	Rounds    int
	Results   []Result
	Isolation []Isolated
	Took      time.Duration
}

// NewReport describes this machine.
func NewReport(servers []string, rounds int) Report {
	r := Report{Date: time.Now().UTC().Truncate(time.Minute), Cores: runtime.NumCPU(), Go: runtime.Version(), Servers: servers, Rounds: rounds}
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		r.Kernel = strings.TrimSpace(string(b))
	}
	return r
}

// Green tells whether nothing was wrong.
func (r Report) Green() bool {
	return !slices.ContainsFunc(r.Results, func(res Result) bool { return len(res.Wrong) > 0 }) &&
		!slices.ContainsFunc(r.Isolation, func(i Isolated) bool { return !i.OK() })
}

// Tell prints one result for people, as it comes.
func Tell(w io.Writer, r Result) {
	mark := "ok  "
	switch {
	case r.Absent != "":
		mark = "—   "
	case !r.Green():
		mark = "RED "
	}
	fmt.Fprintf(w, "%s %-28s %6s  %s\n", mark, r.Name, seconds(r.Took), r.Injected)
	for _, s := range r.Saw {
		fmt.Fprintf(w, "       saw   %s\n", s)
	}
	for _, s := range r.Wrong {
		fmt.Fprintf(w, "       WRONG %s\n", strings.ReplaceAll(s, "\n", "\n             "))
	}
	if r.Absent != "" {
		fmt.Fprintf(w, "       not possible here: %s\n", r.Absent)
	}
}

// Sum prints what came of all.
func (r Report) Sum(w io.Writer) {
	count := map[string]int{}
	for _, res := range r.Results {
		count[res.word()]++
	}
	fmt.Fprintf(w, "\n%d rows played in %s: %d green, %d red, %d not possible here\n", len(r.Results), r.Took.Round(time.Second), count["green"], count["red"], count["absent"])
	for _, res := range r.Results {
		if len(res.Wrong) > 0 {
			fmt.Fprintf(w, "  RED %s, round %d\n", res.Name, res.Round)
		}
	}
	for _, i := range r.Isolation {
		fmt.Fprintf(w, "%s\n", i)
	}
}

func (r Result) word() string {
	switch {
	case r.Absent != "":
		return "absent"
	case len(r.Wrong) > 0:
		return "red"
	}
	return "green"
}

// Markdown writes the report as the table in the repository's docs.
func (r Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# What was broken, and what was seen\n\n")
	fmt.Fprintf(w, "<!-- Written by `make chaos`. Do not edit. -->\n\n")
	fmt.Fprintf(w, "Played on %s from commit `%s`, on %d cores, Linux %s, %s, with %s, in %s; %s.\n\n", r.Date.Format("2006-01-02 15:04 UTC"), r.Commit,
		r.Cores, r.Kernel, r.Go, strings.Join(r.Servers, ", "), r.Took.Round(time.Second), rounds(r.Rounds))
	fmt.Fprintf(w, "Each row runs the real programs on real servers, breaks one thing, mends it, and is then judged from outside. For every row\nholds: "+
		"each recording that was answered 200 is in both stores or, where the row says so, in the dead letters for its true reason;\none version, "+
		"the platform's bytes, equal in both, with equal sidecars; nothing is left to do; every program ends in good order.\n")
	r.matrix(w)
	r.losses(w)
	if len(r.Isolation) > 0 {
		r.isolation(w)
	}
	fmt.Fprintf(w, "\n## To repeat it\n\n```sh\nmake chaos                                   # all of it, and this file anew\nmake chaos CHAOS='--list'                    # what rows there are\n"+
		"make chaos CHAOS='--rows s3-403,kill- -o -'   # some, by the beginnings of their names\n```\n")
}

func rounds(n int) string {
	if n == 1 {
		return "each row once"
	}
	return fmt.Sprintf("each row %d times", n)
}

// matrix writes the table of rows, the same row of all rounds on one line.
func (r Report) matrix(w io.Writer) {
	byName := map[string][]Result{}
	var names, groups []string
	for _, res := range r.Results {
		if byName[res.Name] == nil {
			names = append(names, res.Name)
		}
		if !slices.Contains(groups, res.Group) {
			groups = append(groups, res.Group)
		}
		byName[res.Name] = append(byName[res.Name], res)
	}
	slices.SortStableFunc(groups, func(a, b string) int { return cmp.Compare(order(a), order(b)) })
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(standing(a), standing(b)) })
	for _, g := range groups {
		fmt.Fprintf(w, "\n## %s\n\n| row | what was injected | what must be seen | what was seen | took | |\n|---|---|---|---|---|---|\n", g)
		for _, name := range names {
			all := byName[name]
			slices.SortFunc(all, func(a, b Result) int { return cmp.Compare(a.Round, b.Round) })
			if last := all[len(all)-1]; last.Group == g {
				fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", name, cell(last.Injected), cell(last.Seen), cell(strings.Join(slices.Concat(last.Saw, last.Wrong), "; ")), seconds(last.Took), verdict(all))
			}
		}
	}
}

// verdict sums a row's rounds up.
func verdict(all []Result) string {
	green := 0
	for _, r := range all {
		if r.Absent != "" {
			return "not possible here: " + cell(r.Absent)
		}
		if r.Green() {
			green++
		}
	}
	if green == len(all) {
		return fmt.Sprintf("green %d of %d", green, len(all))
	}
	return fmt.Sprintf("**red** %d of %d", len(all)-green, len(all))
}

// cell is a text as it may stand in a table.
func cell(s string) string {
	if s == "nothing more" {
		return "–"
	}
	s, _, _ = strings.Cut(strings.ReplaceAll(s, "|", "\\|"), "; its last lines")
	return strings.Join(strings.Fields(s), " ")
}

// order is where a group stands.
func order(group string) int {
	return slices.Index([]string{"NATS", "Redis", "S3", "Azure", "Source", "Kills", "Shutdown", "Fleets", "Cluster", "Power", "Operations", "Zones", "Regions"}, group)
}

// standing is where a row stands in the matrix.
func standing(name string) int {
	return slices.IndexFunc(Rows(1), func(r Row) bool { return r.Name == name })
}
