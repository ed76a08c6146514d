package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Retention is how long both stores keep objects from being deleted by anybody. A nil inspector is of a store that is not
// set up here.
type Retention struct {
	Primary, Backup         objstore.Inspector
	Mode                    string // TWINREEL_S3_OBJECT_LOCK_MODE
	PrimaryDays, BackupDays int    // that each object is locked for
}

// Examine implements Part.
func (r Retention) Examine(ctx context.Context) []Check {
	if r.Primary == nil || r.Backup == nil {
		return nil // said already: its settings are missing
	}
	return []Check{r.equal(ctx), r.possible(ctx, tier.Primary), r.possible(ctx, tier.Backup)}
}

func (r Retention) days(t tier.Tier) int {
	if t == tier.Primary {
		return r.PrimaryDays
	}
	return r.BackupDays
}

func (r Retention) of(t tier.Tier) objstore.Inspector {
	if t == tier.Primary {
		return r.Primary
	}
	return r.Backup
}

// lock is what a store locks by default: unless its objects say otherwise, for how long, in words.
func (r Retention) lock(ctx context.Context, t tier.Tier) (days int, told bool, text string) {
	if n := r.days(t); n > 0 {
		return n, true, fmt.Sprintf("%d days", n)
	}
	l, err := r.of(t).Lock(ctx)
	switch {
	case err != nil:
		return 0, false, "no days asked for, the store's default not told" + reason(err)
	case l.Default && l.Days == 0:
		return 0, false, "the container's own policy, whose days are not told"
	case l.Default:
		return l.Days, true, fmt.Sprintf("%d days by the bucket's default (%s)", l.Days, l.Mode)
	}
	return 0, true, "none"
}

func (r Retention) equal(ctx context.Context) Check {
	q := question{"stores.retention", "both stores lock each object for the same time", "the shorter one is how long a recording is sure to have two copies, whoever means it harm"}
	const mend = "set TWINREEL_S3_OBJECT_LOCK_MODE and TWINREEL_S3_OBJECT_LOCK_DAYS for worker-primary, TWINREEL_AZURE_IMMUTABILITY_DAYS for worker-backup, and all of them here, to the same number of days"
	p, pTold, pText := r.lock(ctx, tier.Primary)
	b, bTold, bText := r.lock(ctx, tier.Backup)
	found := fmt.Sprintf("primary: %s; backup: %s", pText, bText)
	switch {
	case !pTold || !bTold:
		return q.unknown(mend, "%s", found)
	case p != b:
		return q.fail(mend, "%s", found)
	case p == 0:
		return q.warn(mend, "%s: whoever holds the rights may delete both copies of anything", found)
	case r.Mode == "GOVERNANCE":
		return q.pass("%s; in mode GOVERNANCE, whoever may bypass it can still delete in primary", found)
	}
	return q.pass("%s", found)
}

// possible judges whether a store can do what its objects are to ask of it.
func (r Retention) possible(ctx context.Context, t tier.Tier) Check {
	q := question{t.String() + ".lock", "the store can lock the objects that ask for it", "else it refuses them all"}
	mend := "create the bucket with object lock enabled; AWS can also turn it on for a bucket with versions"
	if t == tier.Backup {
		mend = "turn on version-level immutability for the container: az storage container-rm migrate-vlw"
	}
	if r.days(t) == 0 {
		return q.pass("none asks for it")
	}
	l, err := r.of(t).Lock(ctx)
	switch {
	case errors.Is(err, objstore.ErrCannotTell):
		return q.untold(mend, err)
	case err != nil:
		return q.untold(mend, err)
	case !l.Possible:
		return q.fail(mend, "objects ask for %d days, but the store cannot lock single objects", r.days(t))
	}
	return q.pass("it can")
}
