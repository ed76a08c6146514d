package s3store

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/fault"
)

// passing are credentials that end.
type passing time.Time

func (p passing) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: time.Time(p)}, nil
}

func TestALinkEndsWithItsSignersCredentials(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		left, want time.Duration
	}{{2 * time.Hour, time.Hour}, {10 * time.Minute, 10 * time.Minute}, {time.Second / 2, 0}, {-time.Minute, 0}} {
		client := s3.New(s3.Options{Region: "eu-central-1", Credentials: passing(now.Truncate(time.Second).Add(c.left))})
		r := &Reader{bucket{client: client, name: "links", now: func() time.Time { return now }}}
		l, err := r.Link(t.Context(), "recordings/a b.wav", time.Hour)
		if c.want == 0 {
			if l.URL != "" || !fault.Is(err, fault.Transient, fault.Store) {
				t.Errorf("%v left: %v", c.left, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(l.URL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Path != "/recordings/a b.wav" || q.Get("X-Amz-SignedHeaders") != "host" || q.Get("X-Amz-Security-Token") != "t" {
			t.Errorf("signed %v for %s", q, u.Path)
		}
		if life, err := time.ParseDuration(q.Get("X-Amz-Expires") + "s"); err != nil || life != c.want || !l.ExpiresAt.Equal(now.UTC().Truncate(time.Second).Add(c.want)) {
			t.Errorf("%v left: lives %v until %v", c.left, life, l.ExpiresAt)
		}
	}
}

func TestWithoutCredentialsThereIsNoLink(t *testing.T) {
	client := s3.New(s3.Options{Region: "eu-central-1", HTTPClient: http.DefaultClient, Credentials: &rereading{
		now: time.Now, looked: time.Now(), current: aws.NewCredentialsCache(aws.AnonymousCredentials{}),
	}})
	r := &Reader{bucket{client: client, name: "b", now: time.Now}}
	if l, err := r.Link(t.Context(), "k", time.Hour); l.URL != "" || !fault.Is(err, fault.Denied, fault.Store) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
}
