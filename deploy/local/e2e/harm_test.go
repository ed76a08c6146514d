package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// vandal does in the stores what no program of ours can: he deletes, overwrites and retags, as the stores' owner.
type vandal struct {
	t      *testing.T
	s3     *s3.Client
	bucket string
	azure  *container.Client
	stores []outside.Store
}

func (b *bed) vandal() vandal {
	b.t.Helper()
	w := b.stack.World()
	cred, err := container.NewSharedKeyCredential(w.Azure.Account, w.Azure.Key)
	b.must(err)
	azure, err := container.NewClientWithSharedKeyCredential(w.Azure.ContainerURL(), cred, nil)
	b.must(err)
	stores, err := outside.Of(w)
	b.must(err)
	return vandal{b.t, w.S3.Client(w.S3.Root), w.S3.Bucket, azure, stores}
}

func (v vandal) must(what string, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

func media(r *platform.Recording) string   { return "recordings/" + r.Key() + "." + r.Format }
func sidecar(r *platform.Recording) string { return "metadata/" + r.Key() + ".json" }

// destroy removes every version of a key in a tier.
func (v vandal) destroy(tier, key string) {
	v.t.Helper()
	ctx := v.t.Context()
	if tier == "backup" {
		_, err := v.azure.NewBlobClient(key).Delete(ctx, nil)
		v.must("delete "+key, err)
		return
	}
	all, err := v.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &v.bucket, Prefix: &key})
	v.must("list "+key, err)
	if len(all.Versions) == 0 {
		v.t.Fatalf("there is no %s to delete", key)
	}
	for _, one := range all.Versions {
		_, err := v.s3.DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: &v.bucket, Key: &key, VersionId: one.VersionId, BypassGovernanceRetention: aws.Bool(true),
		})
		v.must("delete "+key, err)
	}
}

// write puts bytes under a key, whatever is there.
func (v vandal) write(tier, key string, body []byte) {
	v.t.Helper()
	if tier == "backup" {
		_, err := v.azure.NewBlockBlobClient(key).Upload(v.t.Context(), streaming.NopCloser(bytes.NewReader(body)), &blockblob.UploadOptions{})
		v.must("write "+key, err)
		return
	}
	_, err := v.s3.PutObject(v.t.Context(), &s3.PutObjectInput{
		Bucket: &v.bucket, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	})
	v.must("write "+key, err)
}

// retag changes one tag of an object.
func (v vandal) retag(tier, key string) {
	v.t.Helper()
	tags := map[string]string{"recording-id": "another", "source": "default"}
	if tier == "backup" {
		_, err := v.azure.NewBlobClient(key).SetTags(v.t.Context(), tags, nil)
		v.must("retag "+key, err)
		return
	}
	var set []types.Tag
	for name, value := range tags {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(value)})
	}
	_, err := v.s3.PutObjectTagging(v.t.Context(), &s3.PutObjectTaggingInput{Bucket: &v.bucket, Key: &key, Tagging: &types.Tagging{TagSet: set}})
	v.must("retag "+key, err)
}

// flip changes a byte of the first object of the sealed log whose key holds that part, and returns its key.
func (v vandal) flip(tier, part string) string {
	v.t.Helper()
	for _, store := range v.stores {
		if store.Name() != tier {
			continue
		}
		all, err := store.List(v.t.Context())
		v.must("list", err)
		for _, e := range all {
			if !strings.HasPrefix(e.Key, "audit/") || !strings.Contains(e.Key, part) {
				continue
			}
			_, r, err := store.Open(v.t.Context(), e)
			v.must("read "+e.Key, err)
			body, err := io.ReadAll(r)
			v.must("read "+e.Key, errors.Join(err, r.Close()))
			body[len(body)/2] ^= 1
			v.write(tier, e.Key, body)
			return e.Key
		}
	}
	v.t.Fatalf("there is no %s in %s", part, tier)
	return ""
}

// found is what a run said, in a form that can be compared: "kind tier key", how often.
type found map[string]int

func (f found) add(kind, tier, key string) { f[fmt.Sprintf("%s %s %s", kind, tier, key)]++ }

// difference lists what is in one and not in the other.
func (f found) difference(want found) string {
	var out strings.Builder
	for k, n := range f {
		if want[k] != n {
			fmt.Fprintf(&out, "\n%d× %s, want %d×", n, k, want[k])
		}
	}
	for k, n := range want {
		if _, ok := f[k]; !ok {
			fmt.Fprintf(&out, "\nnot found: %d× %s", n, k)
		}
	}
	return out.String()
}

// loseRedis empties Redis, records, claims and all.
func (b *bed) loseRedis() {
	b.t.Helper()
	o, err := redis.ParseURL(b.stack.RedisURL)
	b.must(err)
	c := redis.NewClient(o)
	defer func() { b.should(c.Close()) }()
	b.must(c.FlushAll(b.t.Context()).Err())
}
