package terraform_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/iam"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// planned plans the tree.
func planned(t *testing.T, tree terraform.Tree, tf *terraform.Terraform, variables ...string) terraform.Planned {
	t.Helper()
	p, err := tf.Plan(t.Context(), tree, t.TempDir(), variables...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// servers are the local ones.
func servers(t *testing.T) terraform.Servers {
	t.Helper()
	s, err := terraform.LocalServers()
	if err != nil {
		if testing.Short() {
			t.Skipf("-short: %v", err)
		}
		t.Fatal(err)
	}
	return s
}

// encrypted is how objects are created by what terraform tells the programs.
func encrypted(t *testing.T, p terraform.Planned) s3store.Config {
	t.Helper()
	c, err := p.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEachIdentityMayDoWhatItDoesAndNothingElse(t *testing.T) {
	tree, tf := open(t)
	p := planned(t, tree, tf)
	recorded, err := servers(t).Record(t.Context(), p, encrypted(t, p))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range p.Judged(recorded) {
		t.Error(problem)
	}
	for _, problem := range p.Alone(recorded) {
		t.Error(problem)
	}
}

func TestWithALockInEachRequestTheProgramsMayLockAndNeverShorten(t *testing.T) {
	tree, tf := open(t)
	p := planned(t, tree, tf, "lock_each_object=true")
	c := encrypted(t, p)
	if c.ObjectLockMode != "GOVERNANCE" || c.ObjectLockDays != 2555 {
		t.Fatalf("the programs are told to lock by %q for %d days", c.ObjectLockMode, c.ObjectLockDays)
	}
	recorded, err := servers(t).Record(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range p.Judged(recorded) {
		t.Error(problem)
	}
	s3, err := p.S3()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := planned(t, tree, tf).S3()
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range recorded.S3Wanted {
		if !strings.HasPrefix(call.Name, "store ") {
			continue
		}
		if o, err := s3.Judge(call, calls.Writer); err != nil || !o.Allowed {
			t.Errorf("%s: %+v %v", call.Name, o, err)
		}
		if o, err := plain.Judge(call, calls.Writer); err != nil || o.Allowed {
			t.Errorf("%s: allowed where no lock was asked for (%v)", call.Name, err)
		}
	}
}

// What could not be said to the local server: a condition that it does not know, or one that its users can only fail.
func leftOut() []string {
	return []string{
		"AddAndLook: StringEquals aws:RequestedRegion",
		"KnowWhatIsNotThere: StringEquals aws:RequestedRegion",
		"ListAndInspect: StringEquals aws:RequestedRegion",
		"LookAtEveryVersion: StringEquals aws:RequestedRegion",
		"NeverByACustomersKey: all of it, for Null s3:x-amz-server-side-encryption-customer-algorithm",
		"NowhereElse: all of it, for NotResource",
		"OnlyByOurKey: all of it, for Null s3:x-amz-server-side-encryption-aws-kms-key-id",
		"OnlyByOurKey: all of it, for StringNotEquals s3:x-amz-server-side-encryption-aws-kms-key-id",
		"OnlyByTLS12: all of it, for NumericLessThan s3:TlsVersion",
		"OnlyByTLS: all of it, there is no TLS",
		"OnlyEncryptedByKMS: all of it, for Null s3:x-amz-server-side-encryption",
		"OnlyEncryptedByKMS: all of it, for StringNotEquals s3:x-amz-server-side-encryption",
		"OnlyWhatIsNotThere: all of it, for Bool s3:ObjectCreationOperation",
		"OnlyWhatIsNotThere: all of it, for Null s3:if-none-match",
		"SealTheLog: StringEquals aws:RequestedRegion",
	}
}

// The same policies on a real server, as far as it knows them: what the code does passes, what nobody may do is refused.
func TestARealServerRefusesTheProgramsTheSame(t *testing.T) {
	tree, tf := open(t)
	p := planned(t, tree, tf)
	policies, err := p.S3()
	if err != nil {
		t.Fatal(err)
	}
	s := servers(t)
	local, err := policies.Local(s.S3)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(local.Without, leftOut()) {
		t.Errorf("left out:\n%s\nwant\n%s", strings.Join(local.Without, "\n"), strings.Join(leftOut(), "\n"))
	}
	bucket, err := s.Bucket(t.Context(), policies)
	if err != nil {
		t.Fatal(err)
	}
	bucket.Config = encrypted(t, p)
	if _, err := bucket.Wanted(t.Context()); err != nil {
		t.Errorf("what the programs do: %v", err)
	}
	// Rests on what was left out: these pass there, and would not on AWS.
	passes := []string{calls.Overwrite, calls.OverKnown, calls.CopyOver, calls.CommitOver, calls.ByS3sKey, calls.ByAnotherKey, calls.ByCustomersKey}
	unknown := []string{"let a lifecycle rule remove recordings", "end encryption", "open the bucket to the public"}
	for who, keys := range map[calls.Identity]calls.Keys{calls.Writer: s.S3.Writer, calls.Reader: s.S3.Reader} {
		list, err := bucket.Forbidden(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if len(c.Requests) == 0 || c.Context != nil || slices.Contains(c.May, who) || who == calls.Writer && slices.Contains(passes, c.Name) {
				continue
			}
			if slices.Contains(unknown, c.Name) {
				if !strings.Contains(c.Err.Error(), "NotImplemented") {
					t.Errorf("%s by %s: %v; the server knows it now", c.Name, who, c.Err)
				}
				continue
			}
			if !refused(c.Err) {
				t.Errorf("%s by %s: %v, want that it is refused", c.Name, who, c.Err)
			}
		}
	}
}

// refused reports whether a server refused somebody for want of a right.
func refused(err error) bool {
	var api smithy.APIError
	return err != nil && (errors.As(err, &api) && api.ErrorCode() == "AccessDenied" || strings.Contains(err.Error(), "each is refused: AccessDenied"))
}

func TestEveryActionAndConditionIsAWSsOwn(t *testing.T) {
	tree, tf := open(t)
	reference, err := iam.ReadReference(t.Context(), "s3", "kms")
	if err != nil {
		t.Fatal(err)
	}
	for _, variables := range [][]string{nil, {"lock_each_object=true"}} {
		s3, err := planned(t, tree, tf, variables...).S3()
		if err != nil {
			t.Fatal(err)
		}
		all := []iam.Policy{s3.Bucket, s3.Key}
		for _, roles := range s3.Roles {
			for _, r := range roles {
				all = append(all, r.Policies...)
			}
		}
		for _, p := range all {
			if err := reference.Check(p); err != nil {
				t.Error(err)
			}
		}
	}
}

// Of all that AWS has, nobody but the break-glass role can do more to a stored object than the programs themselves.
func TestNoActionOfAWSsTouchesWhatIsStored(t *testing.T) {
	tree, tf := open(t)
	reference, err := iam.ReadReference(t.Context(), "s3", "kms")
	if err != nil {
		t.Fatal(err)
	}
	s3, err := planned(t, tree, tf).S3()
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, a := range reference["s3"] {
		if a.Access == "Read" || a.Access == "List" || !a.On("object") && !a.On("bucket") {
			continue
		}
		looked++
		right := calls.Right{Action: "s3:" + a.Name}
		if a.On("object") {
			right.Key = "recordings/one.wav"
		}
		for _, who := range []calls.Identity{calls.Admin, calls.Other} {
			o, err := s3.Judge(calls.Call{Direct: []calls.Right{right}}, who)
			if err != nil {
				t.Fatal(err)
			}
			if settings := who == calls.Admin && !a.On("object") && a.Name != "DeleteBucket"; o.Allowed != settings {
				t.Errorf("s3:%s by %s: allowed is %v", a.Name, who, o.Allowed)
			}
		}
	}
	if looked < 40 {
		t.Errorf("looked at %d actions only", looked)
	}
}

func TestThePageIsWhatThePoliciesSay(t *testing.T) {
	tree, tf := open(t)
	p := planned(t, tree, tf)
	recorded, err := servers(t).Record(t.Context(), p, encrypted(t, p))
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Page(recorded)
	if err != nil {
		t.Fatal(err)
	}
	have, err := terraform.CommittedPage()
	if err != nil {
		t.Fatal(err)
	}
	if have != want {
		t.Errorf("deploy/terraform/POLICIES.md is not what the policies say: write it again, as its head says. It should be:\n%s", want)
	}
}
