package terraform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/iam"
)

// LocalPolicy is the planned policies as the local S3 server can take them: that server has a bucket's policy alone, whose
// principals are its users; and it knows few conditions.
type LocalPolicy struct {
	Policy  string
	Without []string // what had to be left out, "statement: what", in order
}

// knownLocally are the condition keys that the local server evaluates as AWS does.
func knownLocally(key string) bool { return slices.Contains([]string{"aws:SecureTransport"}, key) }

// item is a statement in the local server's terms.
type item struct {
	Effect    string
	Principal []string
	Action    []string
	Resource  []string
	Condition map[string]map[string]iam.Strings `json:",omitempty"`
}

// Local translates: what a role's own policy allows becomes an allowance for its user; a denial for everybody but some roles one
// for the users that have none of these. A denial that stands on a condition the server does not know would deny everything: it is
// left out whole. Of an allowance only the condition is.
func (s S3Policies) Local(server calls.S3) (LocalPolicy, error) {
	var out LocalPolicy
	var items []item
	users := map[calls.Identity]string{calls.Writer: server.Writer.Access, calls.Reader: server.Reader.Access}
	arn := map[string]string{} // role to user
	for who, user := range users {
		for _, r := range s.Roles[who] {
			arn[r.ARN] = user
		}
		for _, p := range s.Roles[who][0].Policies {
			for _, st := range p.Statement {
				if strings.HasPrefix(st.Action[0], "kms:") {
					continue // no key there
				}
				for op, keys := range st.Condition {
					for key := range keys {
						out.Without = append(out.Without, fmt.Sprintf("%s: %s %s", st.Sid, op, key))
					}
				}
				items = append(items, item{st.Effect, []string{user}, st.Action, st.Resource, nil})
			}
		}
	}
	for _, st := range s.Bucket.Statement {
		deny, left := s.denial(st, users, arn)
		out.Without = append(out.Without, left...)
		if deny != nil {
			items = append(items, *deny)
		}
	}
	slices.Sort(out.Without)
	// The bucket has another name there.
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": items})
	out.Policy = string(text)
	return out, err
}

// denial translates a denial of the bucket's policy.
func (s S3Policies) denial(st iam.Statement, users map[calls.Identity]string, arn map[string]string) (*item, []string) {
	var left []string
	subject := []string{users[calls.Reader], users[calls.Writer]}
	condition := map[string]map[string]iam.Strings{}
	for op, keys := range st.Condition {
		for key, values := range keys {
			switch {
			case key == "aws:PrincipalArn" && op == "ArnNotEquals":
				subject = slices.DeleteFunc(subject, func(user string) bool {
					return slices.ContainsFunc(values, func(role string) bool { return arn[role] == user })
				})
			case knownLocally(key):
				condition[op] = map[string]iam.Strings{key: values}
			default:
				left = append(left, fmt.Sprintf("%s: all of it, for %s %s", st.Sid, op, key))
			}
		}
	}
	if st.NotResource != nil {
		left = append(left, st.Sid+": all of it, for NotResource")
	}
	if len(left) > 0 || len(subject) == 0 {
		return nil, left
	}
	actions := st.Action
	if st.NotAction != nil {
		actions = expanded(st.NotAction, !strings.HasSuffix(st.Resource[0], "/*"))
	}
	if slices.Contains(st.Resource, s.BucketARN) && slices.Contains(actions, "s3:*") {
		// By TLS alone: there is none.
		return nil, []string{st.Sid + ": all of it, there is no TLS"}
	}
	slices.Sort(subject)
	return &item{st.Effect, subject, actions, st.Resource, condition}, nil
}

// expanded are the actions that the local server knows, on buckets or on objects, but for some.
func expanded(but []string, bucket bool) []string {
	all := []string{
		"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:RestoreObject", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging",
		"s3:DeleteObjectVersionTagging", "s3:PutObjectLegalHold", "s3:BypassGovernanceRetention",
	}
	if bucket {
		all = []string{
			"s3:PutBucketAcl", "s3:DeleteBucket", "s3:PutBucketVersioning", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketTagging",
			"s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketCORS", "s3:PutEncryptionConfiguration",
			"s3:PutLifecycleConfiguration", "s3:PutBucketPublicAccessBlock", "s3:PutReplicationConfiguration", "s3:PutBucketNotification",
		}
	}
	return slices.DeleteFunc(all, func(a string) bool { return slices.Contains(but, a) })
}
