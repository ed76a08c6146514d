package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// rights is the question of what a program may do in the stores.
func rights(r Role) question {
	q := question{Name: r.String() + ".rights", What: "it may create, and neither delete nor replace", Why: "a worker that is taken over, or errs, then can only add: nothing that is stored is lost by it"}
	if r == Reconciler {
		q.What, q.Why = "it may read, and write nothing but below audit/", "who proves that the copies are right must not be able to make them so; sealing the log needs audit/"
	}
	return q
}

// ability is one thing that an identity may or may not do.
type ability struct {
	name string
	may  bool
	err  error
}

// abilities asks what an identity may do. Nothing of it can be carried out.
func abilities(ctx context.Context, i objstore.Inspector) map[string]ability {
	out := map[string]ability{}
	note := func(name string, may bool, err error) { out[name] = ability{name, may, err} }
	for _, prefix := range ours() {
		may, err := i.MayCreate(ctx, prefix+"doctor-probe")
		note("create "+prefix, may, err)
	}
	may, err := i.MayOverwrite(ctx, "recordings/doctor-probe")
	note("replace objects", may, err)
	may, err = i.MayDelete(ctx)
	note("delete objects", may, err)
	may, err = i.MayDeleteVersions(ctx)
	note("delete versions for good", may, err)
	return out
}

// rights judges them.
func (id Identity) rights(ctx context.Context, t tier.Tier, i objstore.Inspector) []Check {
	q := rights(id.Role)
	q.Name = id.Role.String() + "." + t.String() + ".rights"
	all := abilities(ctx, i)
	needs, mustNot := []string{"create recordings/", "create metadata/"}, []string{"delete objects", "delete versions for good"}
	if id.Role == Reconciler {
		needs, mustNot = []string{"create audit/"}, []string{"create recordings/", "create metadata/", "delete objects", "delete versions for good"}
	}
	var wrong, lacks, untold []string
	for _, name := range mustNot {
		switch a := all[name]; {
		case a.err != nil:
			untold = append(untold, name+reason(a.err))
		case a.may:
			wrong = append(wrong, name)
		}
	}
	for _, name := range needs {
		switch a := all[name]; {
		case a.err != nil:
			untold = append(untold, name+reason(a.err))
		case !a.may:
			lacks = append(lacks, name)
		}
	}
	return []Check{id.judge(q, t, wrong, lacks, untold), id.overwrite(t, all["replace objects"])}
}

// reason is why something could not be told, in brackets.
func reason(err error) string {
	if !errors.Is(err, objstore.ErrCannotTell) {
		return " (" + err.Error() + ")"
	}
	_, text, _ := strings.Cut(err.Error(), objstore.ErrCannotTell.Error()+": ")
	return " (" + text + ")"
}

func (id Identity) judge(q question, t tier.Tier, wrong, lacks, untold []string) Check {
	mend := least(id.Role, t)
	var parts []string
	for _, one := range []struct {
		text string
		list []string
	}{{"it may ", wrong}, {"it may not ", lacks}, {"not told: ", untold}} {
		if len(one.list) > 0 {
			parts = append(parts, one.text+strings.Join(one.list, ", "))
		}
	}
	found := strings.Join(parts, "; ")
	switch {
	case len(wrong) == 0 && len(lacks) == 0 && len(untold) == 0:
		return q.pass("as it should be")
	case len(wrong) == 0 && len(lacks) == 0:
		return q.unknown("look at its policy", "the rest is as it should be; %s", found)
	case len(lacks) == 0 && id.Role == Reconciler && t == tier.Backup && onlyCreates(wrong):
		return q.warn("use an identity whose role has a condition on the path audit/ instead of a shared access signature, which knows no paths", "%s; it cannot delete", found)
	}
	return q.fail(mend, "%s", found)
}

// least are the least rights that a program needs in a tier's store.
func least(r Role, t tier.Tier) string {
	switch {
	case r == Reconciler && t == tier.Primary:
		return "permit the reconciler s3:ListBucket, s3:ListBucketVersions, s3:GetBucketVersioning, s3:GetBucketObjectLockConfiguration, s3:GetEncryptionConfiguration, " +
			"s3:GetLifecycleConfiguration, s3:GetBucketPublicAccessBlock, s3:GetBucketPolicyStatus and on objects s3:GetObject, s3:GetObjectVersion, s3:GetObjectTagging, " +
			"s3:GetObjectVersionTagging; s3:PutObject on audit/* alone; and nothing else (deploy/terraform has it as code)"
	case r == Reconciler:
		return "give the reconciler an identity with the roles Storage Blob Data Reader and Storage Blob Delegator, and one that may add blobs under the condition that their path begins with audit/"
	case t == tier.Primary:
		return "permit worker-primary s3:ListBucket, s3:ListBucketMultipartUploads and on objects s3:PutObject, s3:PutObjectTagging, s3:GetObject, s3:AbortMultipartUpload, " +
			"s3:ListMultipartUploadParts, with TWINREEL_S3_OBJECT_LOCK_MODE also s3:PutObjectRetention; and nothing else (deploy/terraform has it as code)"
	}
	return "give worker-backup a shared access signature of the container with rcwt, or an identity with a role of its own that can read, write and tag blobs; neither delete nor the account's key"
}

// onlyCreates reports whether all that is too much is creating what is not there.
func onlyCreates(wrong []string) bool {
	for _, w := range wrong {
		if !strings.HasPrefix(w, "create ") {
			return false
		}
	}
	return true
}

// overwrite judges whether an identity could replace what is stored.
func (id Identity) overwrite(t tier.Tier, a ability) Check {
	q := question{
		id.Role.String() + "." + t.String() + ".overwrite", "it cannot put an object over another",
		"Twinreel never does; with versions an overwrite leaves what was there, and without them it is a loss",
	}
	mend := "deny s3:PutObject where the condition key s3:if-none-match is missing, in the bucket's policy"
	if t == tier.Backup {
		mend = "lock blobs (TWINREEL_AZURE_IMMUTABILITY_DAYS): a worker needs w to send blocks, so its signature cannot do without"
	}
	switch {
	case a.err != nil:
		return q.unknown(mend, "not told%s", reason(a.err))
	case !a.may:
		return q.pass("it cannot")
	case id.Role == Reconciler:
		return q.fail("take the right to write recordings from it", "it can")
	}
	return q.warn(mend, "it can; versions and locks are what keeps the original")
}
