package calls

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Right is one right that a request takes.
type Right struct {
	Action  string
	Key     string            // of the object; "" for the bucket
	Context map[string]string // condition keys
	KMS     bool              // a right to the key, not to the bucket
}

// S3Rights are the rights that a request to S3 takes (Amazon S3 User Guide, "Required permissions for Amazon S3 API operations";
// Service Authorization Reference). Of what is not in it nobody has said it.
func S3Rights(r Request) ([]Right, error) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/") // the bucket comes first
	has := func(name string) bool { _, ok := r.Query[name]; return ok }
	q := query{r, key, has}
	if key == "" {
		return q.bucket()
	}
	return q.object()
}

type query struct {
	Request
	key string
	has func(name string) bool
}

func (q query) one(action string) []Right { return []Right{{Action: action, Key: q.key}} }

// bucket: requests about the bucket.
func (q query) bucket() ([]Right, error) {
	for _, c := range []struct{ parameter, get, put, remove string }{
		{"versions", "s3:ListBucketVersions", "", ""},
		{"uploads", "s3:ListBucketMultipartUploads", "", ""},
		{"versioning", "s3:GetBucketVersioning", "s3:PutBucketVersioning", ""},
		{"object-lock", "s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", ""},
		{"encryption", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration"},
		{"lifecycle", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration"},
		{"publicAccessBlock", "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
		{"policyStatus", "s3:GetBucketPolicyStatus", "", ""},
		{"policy", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"},
		{"ownershipControls", "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls"},
		{"acl", "s3:GetBucketAcl", "s3:PutBucketAcl", ""},
	} {
		if !q.has(c.parameter) {
			continue
		}
		if action := map[string]string{http.MethodGet: c.get, http.MethodPut: c.put, http.MethodDelete: c.remove}[q.Method]; action != "" {
			return q.one(action), nil
		}
	}
	switch {
	case q.Method == http.MethodPost && q.has("delete"):
		return q.deletes()
	case q.Method == http.MethodHead && q.plain(), q.Method == http.MethodGet && q.has("list-type"):
		return q.one("s3:ListBucket"), nil
	case q.Method == http.MethodDelete && q.plain():
		return q.one("s3:DeleteBucket"), nil
	}
	return nil, q.unknown()
}

// deletes: DeleteObjects names its objects in its body.
func (q query) deletes() ([]Right, error) {
	var list struct {
		Object []struct {
			Key       string `xml:"Key"`
			VersionID string `xml:"VersionId"`
		} `xml:"Object"`
	}
	if err := xml.Unmarshal(q.Body, &list); err != nil || len(list.Object) == 0 {
		return nil, fmt.Errorf("a deletion of nothing: %w", q.unknown())
	}
	var out []Right
	for _, o := range list.Object {
		action := "s3:DeleteObject"
		if o.VersionID != "" {
			action = "s3:DeleteObjectVersion"
		}
		out = append(out, Right{Action: action, Key: o.Key})
	}
	return out, nil
}

// object: requests about one object.
func (q query) object() ([]Right, error) {
	version := q.has("versionId")
	versioned := func(plain, ofVersion string) []Right {
		if version {
			return q.one(ofVersion)
		}
		return q.one(plain)
	}
	switch {
	case q.has("tagging"):
		switch q.Method {
		case http.MethodGet:
			return versioned("s3:GetObjectTagging", "s3:GetObjectVersionTagging"), nil
		case http.MethodPut:
			return versioned("s3:PutObjectTagging", "s3:PutObjectVersionTagging"), nil
		case http.MethodDelete:
			return versioned("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"), nil
		}
	case q.has("retention") && q.Method == http.MethodPut:
		return q.retention()
	case q.has("legal-hold") && q.Method == http.MethodPut:
		return q.one("s3:PutObjectLegalHold"), nil
	case q.has("acl") && q.Method == http.MethodPut:
		return q.one("s3:PutObjectAcl"), nil
	case q.has("uploads") && q.Method == http.MethodPost:
		return append(q.creating(false), Right{Action: "kms:GenerateDataKey", KMS: true}), nil
	case q.has("partNumber") && q.Method == http.MethodPut:
		return append(q.creating(false), Right{Action: "kms:Decrypt", KMS: true}), nil
	case q.has("uploadId"):
		switch q.Method {
		case http.MethodPost:
			return append(q.creating(true), Right{Action: "kms:Decrypt", KMS: true}), nil
		case http.MethodDelete:
			return q.one("s3:AbortMultipartUpload"), nil
		case http.MethodGet:
			return q.one("s3:ListMultipartUploadParts"), nil
		}
	case !q.plain():
	case q.Method == http.MethodPut:
		return append(q.creating(true), Right{Action: "kms:GenerateDataKey", KMS: true}), nil
	case q.Method == http.MethodDelete:
		out := versioned("s3:DeleteObject", "s3:DeleteObjectVersion")
		if q.Header.Get("X-Amz-Bypass-Governance-Retention") == "true" {
			out = append(out, Right{Action: "s3:BypassGovernanceRetention", Key: q.key})
		}
		return out, nil
	case q.Method == http.MethodGet, q.Method == http.MethodHead:
		out := versioned("s3:GetObject", "s3:GetObjectVersion")
		if q.Status == http.StatusNotFound {
			// Who may not list the bucket is told 403 of a key that is not there.
			return append(out, Right{Action: "s3:ListBucket"}), nil
		}
		return append(out, Right{Action: "kms:Decrypt", KMS: true}), nil
	}
	return nil, q.unknown()
}

// plain reports whether no parameter makes the request another operation than its method.
func (q query) plain() bool {
	for name := range q.Query {
		if operation(name) && name != "versionId" {
			return false
		}
	}
	return true
}

// creating: s3:PutObject, and what its headers take besides. completes says that the request makes an object.
func (q query) creating(completes bool) []Right {
	context := map[string]string{"s3:ObjectCreationOperation": strconv.FormatBool(completes)}
	for header, key := range map[string]string{
		"If-None-Match":                "s3:if-none-match",
		"If-Match":                     "s3:if-match",
		"X-Amz-Server-Side-Encryption": "s3:x-amz-server-side-encryption",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":     "s3:x-amz-server-side-encryption-aws-kms-key-id",
		"X-Amz-Server-Side-Encryption-Customer-Algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
		"X-Amz-Storage-Class":                             "s3:x-amz-storage-class",
		"X-Amz-Acl":                                       "s3:x-amz-acl",
	} {
		if v := q.Header.Get(header); v != "" {
			context[key] = v
		}
	}
	out := []Right{{Action: "s3:PutObject", Key: q.key, Context: context}}
	if from := q.Header.Get("X-Amz-Copy-Source"); from != "" {
		_, key, _ := strings.Cut(strings.TrimPrefix(from, "/"), "/")
		out = append(out, Right{Action: "s3:GetObject", Key: key})
	}
	if q.Header.Get("X-Amz-Tagging") != "" {
		out = append(out, Right{Action: "s3:PutObjectTagging", Key: q.key})
	}
	if until := q.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"); until != "" {
		out = append(out, Right{Action: "s3:PutObjectRetention", Key: q.key, Context: lock(until, q.Header.Get("X-Amz-Object-Lock-Mode"))})
	}
	return out
}

// retention: PutObjectRetention names mode and end in its body.
func (q query) retention() ([]Right, error) {
	var body struct {
		Mode  string `xml:"Mode"`
		Until string `xml:"RetainUntilDate"`
	}
	if err := xml.Unmarshal(q.Body, &body); err != nil {
		return nil, err
	}
	out := []Right{{Action: "s3:PutObjectRetention", Key: q.key, Context: lock(body.Until, body.Mode)}}
	if q.Header.Get("X-Amz-Bypass-Governance-Retention") == "true" {
		out = append(out, Right{Action: "s3:BypassGovernanceRetention", Key: q.key})
	}
	return out, nil
}

// lock is what a request for a lock has for conditions. The days that remain are whole ones.
func lock(until, mode string) map[string]string {
	out := map[string]string{"s3:object-lock-mode": mode}
	if at, err := time.Parse(time.RFC3339, until); err == nil {
		out["s3:object-lock-remaining-retention-days"] = strconv.Itoa(int(time.Until(at).Hours() / 24))
	}
	return out
}

// unknown is about a request of which nobody has said what rights it takes.
func (q query) unknown() error {
	return fmt.Errorf("nobody has said what rights %s takes", Kind(q.Request))
}

// Kind is what sort of request it is, without names: method, bucket or object, and the parameters that make it another operation.
func Kind(r Request) string {
	what := "object"
	if _, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); key == "" {
		what = "bucket"
	}
	var parameters []string
	for name := range r.Query {
		if operation(name) {
			parameters = append(parameters, name)
		}
	}
	slices.Sort(parameters)
	return strings.Join(append([]string{r.Method, what}, parameters...), " ")
}

// operation reports whether a parameter says what is to be done; others only say how much, or who asks.
func operation(name string) bool {
	return !strings.HasPrefix(name, "X-Amz-") && !slices.Contains([]string{
		"x-id", "prefix", "max-keys", "key-marker", "version-id-marker", "encoding-type", "delimiter", "continuation-token", "start-after", "max-parts", "max-uploads",
		"part-number-marker", "include", "startFrom", "marker", "maxresults", "timeout", "blockid", "se", "sig", "sp", "spr", "sr", "sv",
	}, name)
}
