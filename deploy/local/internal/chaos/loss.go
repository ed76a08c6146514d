package chaos

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// slow is how long an acknowledged recording waits for its second copy where something has gone wrong; beside a load that is
// no burst all others take a fraction of it.
const slow = 5 * time.Second

// Loss is what it cost to lose a part of the whole – a zone, a region – under load.
type Loss struct {
	What    string        // was lost, and what it led
	Sent    int           // webhooks that were not taken before the loss
	Refused int           // of them whose first try was not answered 200
	Retries int           // that one of them needed at the most
	Again   time.Duration // from the loss to the last first try that was refused
	Step    time.Duration // from the loss until the last acknowledged recording that had waited for more than slow was verified in both stores
	Waited  time.Duration // that one acknowledged recording waited at the most, from its 200 until it was
	Whole   time.Duration // from the return until all that is replicated was whole again; 0: it did not return
	Lost    int           // copies of acknowledged recordings that are missing in the end
}

// losses writes the table of losses: each row in each round.
func (r Report) losses(w io.Writer) {
	all := slices.DeleteFunc(slices.Clone(r.Results), func(res Result) bool { return res.Loss == nil })
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b Result) int { return standing(a.Name) - standing(b.Name) })
	fmt.Fprintf(w, "\n## Losses, measured\n\nUnder a steady load of webhooks, each with three retries 15 s apart, as the platform has them. *Refused*: first tries that were not\n"+
		"answered 200, and until when after the loss; every webhook is taken in the end. *In step*: when the last acknowledged recording that had\n"+
		"waited for more than %s was verified in both stores, after the loss, and for how long one waited at the most. *Whole*: from the return\n"+
		"until every stream, bucket and consumer had its replicas in step again; of regions, until each had looked at all that the other\n"+
		"accepted, both stores had been read by an outside reader, and a run of either found nothing to do.\n\n", slow)
	fmt.Fprintf(w, "| row | round | what was lost | webhooks | refused | until | retries, at most | in step after | longest wait | whole after | acknowledged and lost |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, res := range all {
		l := res.Loss
		whole := "–"
		if l.Whole > 0 {
			whole = seconds(l.Whole)
		}
		fmt.Fprintf(w, "| %s | %d | %s | %d | %d | %s | %d | %s | %s | %s | %d |\n", res.Name, res.Round, cell(l.What), l.Sent, l.Refused, seconds(l.Again), l.Retries,
			seconds(l.Step), seconds(l.Waited), whole, l.Lost)
	}
}
