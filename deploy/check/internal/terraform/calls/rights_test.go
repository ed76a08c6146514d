package calls

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func s3Request(method, path, query string, headers ...string) Request {
	q, _ := url.ParseQuery(query)
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return Request{Method: method, Path: path, Query: q, Header: h, Status: http.StatusOK}
}

func TestTheRightsThatARequestTakes(t *testing.T) {
	for name, c := range map[string]struct {
		request Request
		want    []string
	}{
		"put":                    {s3Request("PUT", "/b/k", "x-id=PutObject"), []string{"s3:PutObject", "kms:GenerateDataKey"}},
		"put with tags":          {s3Request("PUT", "/b/k", "", "X-Amz-Tagging", "a=b"), []string{"s3:PutObject", "s3:PutObjectTagging", "kms:GenerateDataKey"}},
		"copy":                   {s3Request("PUT", "/b/k", "", "X-Amz-Copy-Source", "b/from"), []string{"s3:PutObject", "s3:GetObject", "kms:GenerateDataKey"}},
		"part":                   {s3Request("PUT", "/b/k", "partNumber=1&uploadId=u"), []string{"s3:PutObject", "kms:Decrypt"}},
		"by a link":              {s3Request("GET", "/b/k", "X-Amz-Signature=s&x-id=GetObject"), []string{"s3:GetObject", "kms:Decrypt"}},
		"a version":              {s3Request("DELETE", "/b/k", "versionId=v", "X-Amz-Bypass-Governance-Retention", "true"), []string{"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}},
		"the bucket":             {s3Request("HEAD", "/b", ""), []string{"s3:ListBucket"}},
		"what nobody has said":   {s3Request("PUT", "/b/k", "torrent="), nil},
		"of a bucket":            {s3Request("PUT", "/b", "website="), nil},
		"deleting of what":       {s3Request("DELETE", "/b", "website="), nil},
		"a method":               {s3Request("PATCH", "/b/k", ""), nil},
		"reading something else": {s3Request("GET", "/b/k", "attributes="), nil},
	} {
		got, err := S3Rights(c.request)
		var names []string
		for _, r := range got {
			names = append(names, r.Action)
		}
		if !slices.Equal(names, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v %v, want %v", name, names, err, c.want)
		}
	}
}

func TestTheRightsThatARequestToAzureTakes(t *testing.T) {
	for name, c := range map[string]struct {
		request Request
		want    []string // the first of each
	}{
		"make":                 {s3Request("PUT", "/a/c/k", "", "If-None-Match", "*", "X-Ms-Tags", "a=b"), []string{"write", "tags/write"}},
		"lock":                 {s3Request("PUT", "/a/c/k", "", "X-Ms-Immutability-Policy-Until-Date", "x"), []string{"write", "immutableStorage/runAsSuperUser/action"}},
		"commit":               {s3Request("PUT", "/a/c/k", "comp=blocklist"), []string{"write"}},
		"a version":            {s3Request("DELETE", "/a/c/k", "versionid=v"), []string{"deleteBlobVersion/action"}},
		"what nobody has said": {s3Request("PUT", "/a/c/k", "comp=page"), nil},
		"of the account":       {s3Request("GET", "/a", "comp=list"), nil},
	} {
		got, err := AzureRights(c.request)
		var names []string
		for _, r := range got {
			names = append(names, r.Any[0][len(azureBlobs)+1:])
		}
		if !slices.Equal(names, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v %v, want %v", name, names, err, c.want)
		}
	}
}
