package terraform_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/objstoretest"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/settings"
)

// kinds are the sorts of requests that were kept.
func kinds(list []calls.Call) []string {
	var out []string
	for _, c := range list {
		for _, r := range c.Requests {
			out = append(out, calls.Kind(r))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unseen are the kinds of requests that no call in the tables makes: their rights were never looked at.
func unseen(requests []calls.Request, known []string) []string {
	var out []string
	for _, r := range requests {
		if byLink := r.Query.Has("sig") || r.Query.Has("X-Amz-Signature"); byLink && r.Method != http.MethodGet {
			continue // the suite tries what a link must not do
		}
		if k := calls.Kind(r); !slices.Contains(known, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The drivers' own suite, on a bucket with the planned policies: it passes, and sends nothing that the tables do not have.
func TestTheDriversSuitePassesUnderThePoliciesAndAsksForNothingElse(t *testing.T) {
	tree, tf := open(t)
	p := planned(t, tree, tf)
	policies, err := p.S3()
	if err != nil {
		t.Fatal(err)
	}
	s := servers(t)
	recorded, err := s.Record(t.Context(), p, encrypted(t, p))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("S3", func(t *testing.T) {
		bucket, err := s.Bucket(t.Context(), policies)
		if err != nil {
			t.Fatal(err)
		}
		var sent []calls.Request
		open := func(t *testing.T) objstoretest.Pair {
			writer, reader, taken := drivers(t, bucket)
			t.Cleanup(func() { sent = append(sent, taken()...) })
			return objstoretest.Pair{Writer: writer, Reader: reader, Look: look(bucket), LoseAnswers: func() func() { t.Skip("asked of the driver in its own package"); return nil }}
		}
		objstoretest.Run(t, open)
		objstoretest.RunStreams(t, open)
		if more := unseen(sent, kinds(recorded.S3Wanted)); len(sent) == 0 || len(more) > 0 {
			t.Errorf("of %d requests these are in no table: %q", len(sent), more)
		}
	})
	t.Run("Azure", func(t *testing.T) {
		var sent []calls.Request
		objstoretest.Run(t, func(t *testing.T) objstoretest.Pair {
			r, err := calls.Record(s.Azure.ServiceURL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sent = append(sent, r.Take()...); r.Close() })
			c := azstore.Config{ServiceURL: r.URL, Container: s.Azure.Container, AccountName: s.Azure.Account, AccountKey: settings.NewSecret(s.Azure.Key)}
			w, err := azstore.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			reader, err := azstore.OpenReader(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return objstoretest.Pair{Writer: w, Reader: reader, Look: lookAzure(s.Azure), LoseAnswers: func() func() { t.Skip("asked of the driver in its own package"); return nil }}
		})
		if more := unseen(sent, kinds(recorded.AzureWanted)); len(sent) == 0 || len(more) > 0 {
			t.Errorf("of %d requests these are in no table: %q", len(sent), more)
		}
	})
}

// drivers opens a bucket through a recorder; taken is what they sent.
func drivers(t *testing.T, bucket calls.S3) (*s3store.Store, *s3store.Reader, func() []calls.Request) {
	t.Helper()
	r, err := calls.Record(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c := s3store.Config{Bucket: bucket.Bucket, Region: bucket.Region, Endpoint: r.URL, PathStyle: true, SSE: "none"}
	writer, err := s3store.Open(t.Context(), c, s3store.Environment(bucket.Writer.Lookup))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := s3store.OpenReader(t.Context(), c, s3store.Environment(bucket.Reader.Lookup))
	if err != nil {
		t.Fatal(err)
	}
	return writer, reader, func() []calls.Request { r.Close(); return r.Take() }
}

func look(bucket calls.S3) func(t testing.TB, key string) (string, map[string]string) {
	return func(t testing.TB, key string) (string, map[string]string) {
		t.Helper()
		client := bucket.Client(bucket.Endpoint, bucket.Root)
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &bucket.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{}
		for _, tag := range out.TagSet {
			tags[*tag.Key] = *tag.Value
		}
		return aws.ToString(head.ContentType), tags
	}
}

func lookAzure(a calls.Azure) func(t testing.TB, key string) (string, map[string]string) {
	return func(t testing.TB, key string) (string, map[string]string) {
		t.Helper()
		cred, err := container.NewSharedKeyCredential(a.Account, a.Key)
		if err != nil {
			t.Fatal(err)
		}
		client, err := container.NewClientWithSharedKeyCredential(strings.TrimRight(a.ServiceURL, "/")+"/"+a.Container, cred, nil)
		if err != nil {
			t.Fatal(err)
		}
		head, err := client.NewBlobClient(key).GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.NewBlobClient(key).GetTags(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{}
		for _, tag := range out.BlobTagSet {
			tags[*tag.Key] = *tag.Value
		}
		return *head.ContentType, tags
	}
}
