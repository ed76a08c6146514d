package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Role is a program as whom the stores are reached.
type Role string

// The roles.
const (
	Reconciler    Role = "reconciler"
	WorkerPrimary Role = "worker-primary"
	WorkerBackup  Role = "worker-backup"
)

// Roles returns all roles.
func Roles() []Role { return []Role{Reconciler, WorkerPrimary, WorkerBackup} }

// String returns the program's name.
func (r Role) String() string { return string(r) }

// Worker returns the role that writes into a tier.
func Worker(t tier.Tier) Role {
	if t == tier.Primary {
		return WorkerPrimary
	}
	return WorkerBackup
}

// Identity is a program's way into the stores, as its own environment sets it up.
type Identity struct {
	Role    Role
	Stores  map[tier.Tier]objstore.Inspector // those that it has; nil: not set up in its environment
	Trouble map[tier.Tier]error              // why one that it should have cannot be looked at
	Strays  []string                         // variables with credentials of the other cloud, of a worker
	Origins []string                         // TWINREEL_COPY_FROM_ORIGINS of a worker
}

// Identities are those that are known. Those of the workers are known where their environments were given.
type Identities []Identity

// of returns the identity of a role, ok false where it was not given.
func (ids Identities) of(r Role) (Identity, bool) {
	for _, id := range ids {
		if id.Role == r {
			return id, true
		}
	}
	return Identity{}, false
}

// howToGive says how an identity that is not known is made known.
func howToGive(r Role) string {
	return fmt.Sprintf("run doctor with --env %s=FILE, where FILE holds that program's variables, or with --as %s in its own environment", r, r)
}

// Examine implements Part.
func (ids Identities) Examine(ctx context.Context) []Check {
	var out []Check
	for _, t := range tier.All() {
		out = append(out, ids.differ(ctx, t))
	}
	for _, r := range Roles() {
		id, ok := ids.of(r)
		if !ok {
			q := rights(r)
			out = append(out, q.unknown(howToGive(r), "the identity of %s was not given", r))
			continue
		}
		out = append(out, id.examine(ctx, ids)...)
	}
	return out
}

// Alone is one identity, where no other is of interest: a worker's, in its own environment.
type Alone Identity

// Examine implements Part.
func (a Alone) Examine(ctx context.Context) []Check { return Identity(a).examine(ctx, nil) }

// differ judges whether a tier's writer and the reconciler are two.
func (ids Identities) differ(ctx context.Context, t tier.Tier) Check {
	q := question{t.String() + ".identities", "the worker and the reconciler have credentials of their own", "what one of them loses must not be lost to the other; and who checks must not be able to write"}
	marks := map[string]Role{}
	var known []string
	for _, r := range []Role{Worker(t), Reconciler} {
		id, ok := ids.of(r)
		if !ok || id.Stores[t] == nil {
			return q.unknown(howToGive(r), "the credentials of %s are not known", r)
		}
		who, err := id.Stores[t].Identity(ctx)
		switch {
		case err != nil:
			return q.untold(howToGive(r), err)
		case who.Mark == "":
			return q.unknown("compare the two identities' object IDs", "whose the credentials of %s are cannot be told", r)
		}
		if other, same := marks[who.Mark]; same {
			return q.fail("make an identity for each, with the least rights: see deploy", "%s and %s have the same %s (%s)", other, r, who.Kind, who.Mark)
		}
		marks[who.Mark] = r
		known = append(known, fmt.Sprintf("%s: %s %s", r, who.Kind, who.Mark))
	}
	return q.pass("%s", strings.Join(known, ", "))
}

// examine judges one identity by itself.
func (id Identity) examine(ctx context.Context, all Identities) []Check {
	var out []Check
	for _, t := range tier.All() {
		i := id.Stores[t]
		if err := id.Trouble[t]; err != nil && id.Role != Reconciler { // of the reconciler it is said already
			q := rights(id.Role)
			out = append(out, q.unknown(howToGive(id.Role), "%v", err))
		}
		if i == nil {
			continue
		}
		if err := reached(ctx, i); err != nil {
			if id.Role != Reconciler { // said already
				out = append(out, rights(id.Role).fail("mend the credentials of "+id.Role.String(), "%s is not reached with them: %v", t, err))
			}
			continue
		}
		out = append(out, id.rights(ctx, t, i)...)
		if c, ok := id.expiry(ctx, t, i); ok {
			out = append(out, c)
		}
	}
	if id.Role == Reconciler {
		return out
	}
	out = append(out, id.strays())
	t := tier.Primary
	if id.Role == WorkerBackup {
		t = tier.Backup
	}
	if mine, ok := all.of(Reconciler); ok {
		if c, ok := origins(ctx, id, mine.Stores[t.Sibling()]); ok {
			out = append(out, c)
		}
	}
	return out
}

// strays judges whether a worker could reach the other cloud.
func (id Identity) strays() Check {
	q := question{id.Role.String() + ".other-cloud", "the worker has no credentials of the other cloud", "whoever takes one worker over must not get both copies"}
	if len(id.Strays) == 0 {
		return q.pass("none in its environment")
	}
	slices.Sort(id.Strays)
	return q.fail("take them out of its environment", "its environment holds %s", strings.Join(id.Strays, ", "))
}

// expiry judges how long credentials that end of themselves still last.
func (id Identity) expiry(ctx context.Context, t tier.Tier, i objstore.Inspector) (Check, bool) {
	q := question{id.Role.String() + "." + t.String() + ".expiry", "its credentials last a while", "when they end the tier stands still until somebody renews them"}
	const week = 7 * 24 * time.Hour
	who, err := i.Identity(ctx)
	if err != nil || who.Expires.IsZero() || !strings.Contains(who.Kind, "signature") {
		return Check{}, false // others renew themselves
	}
	left := time.Until(who.Expires)
	found := fmt.Sprintf("its %s ends %s", who.Kind, who.Expires.Format(time.RFC3339))
	switch {
	case left <= 0:
		return q.fail("make a new one", "%s", found), true
	case left < week:
		return q.warn("make a new one; in a file named by TWINREEL_AZURE_SAS_TOKEN_FILE it is taken up without a restart", "%s", found), true
	}
	return q.pass("%s", found), true
}
