package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
)

// writeCapacity writes a plan for people: a section for each part, then the limits, and what to change.
func writeCapacity(w io.Writer, p capacity.Plan, measured bool) error {
	all := []section{comes(p), programs(p), queues(p), ledgerOf(p), requests(p), lines(p), reconciles(p)}
	if measured {
		all = append(all, figures(p))
	}
	for i, s := range append(all, limits(p), first(p), changes(p)) {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w, s.title); err != nil {
			return err
		}
		if err := writeTable(w, s.header, s.rows); err != nil {
			return err
		}
	}
	return nil
}

// section is a part of the plan.
type section struct {
	title  string
	header []string
	rows   [][]string
}

func bytesOf(n int64) string            { return capacity.Bytes.Text(float64(n)) }
func perSecond(v float64) string        { return capacity.PerSecond.Text(v) }
func spanOf(v float64) string           { return capacity.Seconds.Text(v) }
func bytesASecond(v float64) string     { return capacity.Bytes.Text(v) + "/s" }
func amount(what, much string) []string { return []string{"  " + what, much} }

func comes(p capacity.Plan) section {
	return section{title: "WHAT COMES", rows: [][]string{
		amount("recordings a day", fmt.Sprintf("%s of %s; %s, %s in the busiest hour", capacity.Grouped(p.PerDay), bytesOf(p.Size), perSecond(p.Rate), perSecond(p.PeakRate))),
		amount("recordings in each store", fmt.Sprintf("%s, %s", capacity.Grouped(p.Kept), capacity.Bytes.Text(float64(p.Kept)*float64(p.Size)))),
		amount("a store or source answers after", (time.Duration(p.LatencyMS) * time.Millisecond).String()),
	}}
}

func programs(p capacity.Plan) section {
	s := section{title: "PROGRAMS, in two zones, each able to carry the busiest hour alone", header: []string{"  PROGRAM", "EACH DOES", "BOUND BY", "IN EACH ZONE", "IN ALL", "MEMORY"}}
	for _, name := range []string{capacity.Ingress, "worker-" + tier.Primary.String(), "worker-" + tier.Backup.String()} {
		one := p.Programs[name]
		memory := ""
		if one.Memory > 0 {
			memory = bytesOf(one.Memory)
		}
		s.rows = append(s.rows, []string{"  " + name, perSecond(one.Each), one.Bound, number(one.PerZone), number(one.Total), memory})
	}
	return s
}

func queues(p capacity.Plan) section {
	s := section{title: "NATS"}
	for _, name := range []string{queue.Recordings, queue.DeadLetters, queue.Audit, queue.PeerRecordings, queue.PeerAudit} {
		if size, there := p.Streams[name]; there {
			s.rows = append(s.rows, amount("stream "+name, bytesOf(size)))
		}
	}
	n := p.NATS
	s.rows = append(s.rows,
		amount("digest entries, busiest hour", fmt.Sprintf("%s alive, %s with the marks of freed ones", capacity.Grouped(n.Entries), bytesOf(n.Digests))),
		amount("digest entries, no reconciler", bytesOf(n.Unfreed)+" after seven days"),
		amount("tombstones", bytesOf(n.Tombs)),
		amount("disk of each server", fmt.Sprintf("%s (%s over all replicas)", bytesOf(n.Disk), bytesOf(n.DiskTotal))),
		amount("memory for keys and message IDs", fmt.Sprintf("%s; after seven days without a reconciler %s", bytesOf(n.Memory), bytesOf(n.UnfreedMemory))),
		amount("messages, busiest hour", fmt.Sprintf("%s; to be synced: %s, of them into AUDIT %s", perSecond(n.Messages), perSecond(n.Synced), perSecond(n.Audit))),
	)
	return s
}

func ledgerOf(p capacity.Plan) section {
	return section{title: "REDIS", rows: [][]string{amount("memory of a node", fmt.Sprintf("%s, %s keys", bytesOf(p.Redis.Memory), capacity.Grouped(p.Redis.Keys)))}}
}

func requests(p capacity.Plan) section {
	s := section{title: "REQUESTS A DAY", header: []string{"  BY", "S3 PUT", "S3 GET, HEAD", "S3 LIST", "AZURE PUT", "AZURE GET, HEAD", "AZURE LIST"}}
	for _, r := range append(append([]capacity.Requests(nil), p.Requests...), p.Day) {
		row := []string{"  " + r.By}
		for _, n := range []int64{r.S3Writes, r.S3Reads, r.S3Lists, r.AzureWrites, r.AzureReads, r.AzureLists} {
			row = append(row, capacity.Grouped(n))
		}
		s.rows = append(s.rows, row)
	}
	return s
}

func lines(p capacity.Plan) section {
	return section{title: "LINES, busiest hour", rows: [][]string{
		amount("from sources", bytesASecond(p.Network.In)), amount("to both stores", bytesASecond(p.Network.Out)),
		amount("from both stores, to be read back", bytesASecond(p.Network.Scrub)),
	}}
}

func reconciles(p capacity.Plan) section {
	return section{title: "RECONCILER", rows: [][]string{
		amount("run over an hour's recordings", fmt.Sprintf("%s: looks %s, freeing digest entries %s", spanOf(p.Hourly.Seconds), spanOf(p.Hourly.Looking), spanOf(p.Hourly.Freeing))),
		amount("full run", fmt.Sprintf("%s: sorting %s, listings %s, looks %s", spanOf(p.FullRun.Seconds), spanOf(p.FullRun.Ordering), spanOf(p.FullRun.Listing), spanOf(p.FullRun.Looking))),
		amount("temporary files of a full run", bytesOf(p.Disk)),
		amount("reading back, an hour", fmt.Sprintf("%s; within the budget of %s a turn takes %s", bytesOf(p.Scrub.PerHour), bytesOf(p.Scrub.Budget), spanOf(p.Scrub.Days*86400))),
		amount("sealed log in each store, a day", fmt.Sprintf("%s events, %s, %s objects", capacity.Grouped(p.Log.Leaves), bytesOf(p.Log.Bytes), capacity.Grouped(p.Log.Objects))),
	}}
}

func limits(p capacity.Plan) section {
	s := section{title: "LIMITS, in the order in which they are hit", header: []string{"  ", "NEEDED", "LIMIT", "TAKEN", "HIT AT A DAY", "SET BY"}}
	for _, l := range p.Limits {
		mark, at := "  ", "never"
		if l.Hit() {
			mark = "! "
		}
		if l.At > 0 {
			at = capacity.Grouped(rounded(l.At))
		}
		s.rows = append(s.rows, []string{mark + l.Name, l.Unit.Text(l.Need), l.Unit.Text(l.Of), capacity.Share.Text(l.Share), at, string(l.Kind) + ": " + l.From})
	}
	return s
}

// rounded has two digits that count.
func rounded(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}

func figures(p capacity.Plan) section {
	s := section{title: "MEASURED, on one machine of two processors", header: []string{"  WHAT", "", "WHERE", "WHEN"}}
	for _, f := range p.Figures {
		s.rows = append(s.rows, []string{"  " + f.What, strings.TrimSpace(f.Text() + " " + f.Unit), f.From, f.When})
	}
	return s
}

func first(p capacity.Plan) section {
	one := p.Limits[0]
	at := capacity.Grouped(rounded(one.At))
	text := fmt.Sprintf("  None is hit. At %s recordings a day it would be: %s, %s of %s now.", at, one.Name, one.Unit.Text(one.Need), one.Unit.Text(one.Of))
	if one.Hit() {
		text = fmt.Sprintf("  %s: %s are needed, %s is the limit. It is hit from %s recordings a day on.", one.Name, one.Unit.Text(one.Need), one.Unit.Text(one.Of), at)
	}
	hard := fmt.Sprintf("  The first that no setting moves, nor a larger machine: %s, from %s recordings a day on.", p.Hard.Name, capacity.Grouped(rounded(p.Hard.At)))
	return section{title: "FIRST LIMIT", rows: [][]string{{text}, {hard}}}
}

func changes(p capacity.Plan) section {
	s := section{title: "WHAT TO CHANGE"}
	for i, l := range p.Limits {
		if l.Hit() || i == 0 {
			s.rows = append(s.rows, []string{"  " + l.Name + ": " + l.Change + "."})
		}
	}
	return s
}
