package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is a whole run, as it is written and read again.
type Report struct {
	Date    time.Time
	Commit  string
	Cores   int
	Go      string
	Kernel  string
	Results []Result
}

// NewReport describes this machine.
func NewReport() Report {
	r := Report{Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version()}
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		r.Kernel = strings.TrimSpace(string(b))
	}
	return r
}

// Save writes the report as JSON.
func (r Report) Save(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Load reads what Save wrote.
func Load(file string) (r Report, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Report{}, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Report{}, fmt.Errorf("read %s: %w", file, err)
	}
	return r, nil
}

// Write prints the report for people; against, if it has results, is an earlier one to compare with.
func (r Report) Write(w io.Writer, against Report) {
	fmt.Fprintf(w, "\n%s, commit %s, %d cores, %s, Linux %s; medians of neighbouring turns\n\n", r.Date.Format("2006-01-02 15:04 UTC"), r.Commit, r.Cores, r.Go, r.Kernel)
	old := map[string]Result{}
	for _, was := range against.Results {
		old[was.Row] = was
	}
	for _, result := range r.Results {
		result.write(w)
		if was, ok := old[result.Row]; ok {
			fmt.Fprintf(w, "    before (%s): ratio %.2f, CPU ratio %.2f, peak %.0f MiB\n", against.Commit, was.Figures["ratio"], was.Figures["cpu ratio"], was.Figures["peak MiB"])
		}
	}
}

// write prints one row.
func (r Result) write(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", r.Row, r.What)
	t := tabwriter.NewWriter(w, 4, 0, 2, ' ', 0)
	fmt.Fprintln(t, "    \tper second\tMiB/s\tCPU s/GiB\tCPU ms each\tpeak MiB\tp50 ms\tp99 ms")
	lines := []struct {
		name string
		Side
	}{{r.Sides[0], r.middle(0)}, {r.Sides[1], r.middle(1)}}
	if len(r.Peer) > 0 {
		lines = append(lines, struct {
			name string
			Side
		}{peer, middle(r.Peer)})
	}
	for _, m := range lines {
		name := m.name
		fmt.Fprintf(t, "    %s\t%.4g\t%s\t%s\t%s\t%s\t%s\t%s\n", name, m.Rate(), number(m.Bytes/m.Seconds/(1<<20)),
			number(m.CPUSum()/(m.Bytes/(1<<30))), number(1000*m.CPUSum()/m.Done), number(peak(m.Side)), number(m.Millis["p50"]), number(m.Millis["p99"]))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "    ratio %.2f (%.2f–%.2f)", r.Figures["ratio"], r.Figures["low"], r.Figures["high"])
	if cpu, ok := r.Figures["cpu ratio"]; ok {
		fmt.Fprintf(w, ", CPU ratio %.2f", cpu)
	}
	if r.Figures["source"] > 0 {
		fmt.Fprintf(w, "; requests for each: source %s", number(r.Figures["source"]))
		for _, to := range []string{"s3", "azure", "redis", "nats"} {
			if n, ok := r.Figures[to]; ok {
				fmt.Fprintf(w, ", %s %s", to, number(n))
			}
		}
	}
	fmt.Fprintf(w, "\n    %s\n", r.Remark)
	for _, v := range r.Verdicts {
		fmt.Fprintf(w, "    %s\n", v)
	}
	fmt.Fprintln(w)
}

// String says how the figure stands to its bar.
func (v Verdict) String() string {
	bar, word := fmt.Sprintf("at least %g", v.AtLeast), "ok   "
	if v.AtMost > 0 {
		bar = fmt.Sprintf("at most %g", v.AtMost)
	}
	if !v.OK {
		word = "SHORT"
	}
	return fmt.Sprintf("%s %s %.3g, want %s", word, v.Figure, v.Got, bar)
}

// middle is the turn of a side whose rate is the median.
func (r Result) middle(side int) Side {
	var turns []Side
	for _, p := range r.Pairs {
		turns = append(turns, p[side])
	}
	return middle(turns)
}

func middle(turns []Side) Side {
	if len(turns) == 0 {
		return Side{}
	}
	sorted := slices.SortedFunc(slices.Values(turns), func(a, b Side) int { return cmp.Compare(a.Rate(), b.Rate()) })
	return sorted[(len(sorted)-1)/2]
}

// number prints a figure shortly, and one that there is not as a dash.
func number(v float64) string {
	if v != v || v == 0 || v > 1e12 {
		return "-"
	}
	return fmt.Sprintf("%.3g", v)
}
