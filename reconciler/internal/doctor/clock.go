package doctor

import (
	"context"
	"time"
)

// Skews that matter: signed requests and webhooks are refused when clocks differ by minutes, and links end by the
// store's clock.
const (
	warnSkew = 30 * time.Second
	failSkew = 4 * time.Minute
)

// clock holds a server's clock against ours.
func clock(ctx context.Context, part string, ask func(context.Context) (time.Time, error)) Check {
	q := question{part + ".clock", "its clock and this machine's agree", "requests are signed with the time, links and leases end by it; minutes apart, they are refused"}
	const mend = "let a time service (chrony, systemd-timesyncd) set the clocks of both machines"
	before := time.Now()
	theirs, err := ask(ctx)
	if err != nil {
		return q.untold(mend, err)
	}
	took := time.Since(before)
	skew := theirs.Sub(before.Add(took / 2)).Round(time.Second)
	uncertain := (time.Second + took/2).Round(time.Second) // many tell whole seconds only
	text := "within " + uncertain.String()
	if skew.Abs() > uncertain {
		text = "it is " + skew.Abs().String() + " ahead of this machine's"
		if skew < 0 {
			text = "it is " + skew.Abs().String() + " behind this machine's"
		}
	}
	switch skew = skew.Abs() - uncertain; {
	case skew > failSkew:
		return q.fail(mend, "%s", text)
	case skew > warnSkew:
		return q.warn(mend, "%s", text)
	}
	return q.pass("%s", text)
}
