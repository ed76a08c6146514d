package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// ours are the prefixes of what Twinreel stores.
func ours() []string { return []string{"recordings/", "metadata/", "audit/"} }

// holdsFor reports whether a rule for keys of that prefix concerns anything of ours.
func holdsFor(prefix string) bool {
	for _, p := range ours() {
		if strings.HasPrefix(p, prefix) || strings.HasPrefix(prefix, p) {
			return true
		}
	}
	return false
}

// lifecycle judges by what rules the store removes or moves things on its own.
func (s Store) lifecycle(ctx context.Context) Check {
	q := question{
		s.name("lifecycle"), "no rule removes what must be kept, none hangs on a tag, uploads that were never committed lapse",
		"what a rule removes is gone in silence; tags are set after some uploads only, so a rule by tag holds for some recordings and not for others",
	}
	if s.Tier == tier.Backup {
		q.What, q.Why = "automatic deletion is off, and no rule hangs on a tag", "the backup is what is left when primary's rules went wrong: nothing may remove from it by itself"
	}
	mend := s.byHand("aws s3api get-bucket-lifecycle-configuration --bucket …, and change the rule", "az storage account management-policy show, and remove the rule's delete action")
	rules, err := s.Inspector.Lifecycle(ctx)
	if err != nil {
		return q.untold(s.byHand("aws s3api get-bucket-lifecycle-configuration --bucket …", "az storage account management-policy show --account-name …: no rule may have a delete action for this container"), err)
	}
	wrong, weak, aborts := s.judgeRules(rules)
	switch {
	case len(wrong) > 0:
		return q.fail(mend, "%s", strings.Join(append(wrong, weak...), "; "))
	case len(weak) > 0:
		return q.warn(mend, "%s", strings.Join(weak, "; "))
	case !aborts && s.Tier == tier.Primary:
		return q.warn("add a rule with AbortIncompleteMultipartUpload after 7 days", "no rule removes uploads that were never committed: what they hold is stored, paid for, and never seen")
	}
	return q.pass("%d rules, none of them harmful", len(rules))
}

// judgeRules tells what of the rules loses recordings, what is dubious, and whether uploads that were never committed lapse.
func (s Store) judgeRules(rules []objstore.Rule) (wrong, weak []string, aborts bool) {
	for _, r := range rules {
		aborts = aborts || r.Aborts > 0
		if !holdsFor(r.Prefix) {
			continue
		}
		name := fmt.Sprintf("rule %q", r.Name)
		removes := r.Expires != 0
		switch {
		case r.ByTag:
			wrong = append(wrong, name+" hangs on a tag")
		case removes && s.Tier == tier.Backup:
			wrong = append(wrong, name+" removes objects by itself")
		case r.Expires == -1:
			wrong = append(wrong, name+" removes objects on a fixed date")
		case removes && r.Expires < s.RetentionDays:
			wrong = append(wrong, fmt.Sprintf("%s removes objects after %d days, TWINREEL_RETENTION_DAYS is %d", name, r.Expires, s.RetentionDays))
		}
		if r.OldExpires > 0 {
			weak = append(weak, fmt.Sprintf("%s removes versions that were overwritten after %d days: with them goes the recording that somebody overwrote", name, r.OldExpires))
		}
		if offline(r.Moves) {
			weak = append(weak, name+" moves objects to "+r.Moves+", from where they cannot be read at once: no copy for a repair, no scrub")
		}
	}
	return wrong, weak, aborts
}

// offline reports whether objects of one of these storage classes have to be restored before they can be read.
func offline(classes string) bool {
	for class := range strings.SplitSeq(classes, ", ") {
		if class == "GLACIER" || class == "DEEP_ARCHIVE" || strings.EqualFold(class, "archive") {
			return true
		}
	}
	return false
}
