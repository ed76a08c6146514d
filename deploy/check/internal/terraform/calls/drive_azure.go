package calls

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Azure is the server, with the account's key: it knows no identities, so who asks is only said.
type Azure struct{ ServiceURL, Account, Key, Container string }

type azureBed struct {
	writer    *azstore.Store
	reader    *azstore.Reader
	inspector *azstore.Inspector
	raw       *container.Client
	recorder  *Recorder
	run       string
}

func (a Azure) open(ctx context.Context) (*azureBed, error) {
	r, err := Record(a.ServiceURL)
	if err != nil {
		return nil, err
	}
	c := azstore.Config{ServiceURL: r.URL, Container: a.Container, AccountName: a.Account, AccountKey: settings.NewSecret(a.Key)}
	b := &azureBed{recorder: r, run: strings.ToLower(rand.Text()[:10])}
	var errs [5]error
	b.writer, errs[0] = azstore.Open(ctx, c)
	b.reader, errs[1] = azstore.OpenReader(ctx, c)
	b.inspector, errs[2] = azstore.OpenInspector(ctx, c)
	key, err := container.NewSharedKeyCredential(a.Account, a.Key)
	errs[3] = err
	if err == nil {
		b.raw, errs[4] = container.NewClientWithSharedKeyCredential(r.URL+"/"+a.Container, key, &container.ClientOptions{ClientOptions: azcore.ClientOptions{
			Retry: policy.RetryOptions{MaxRetries: -1}, Telemetry: policy.TelemetryOptions{Disabled: true},
		}})
	}
	return b, errors.Join(errs[:]...)
}

// Calls makes all calls into Azure: first those that the programs make, which must succeed, then those that they may not make.
func (a Azure) Calls(ctx context.Context) (wanted, forbidden []Call, err error) {
	b, err := a.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer b.recorder.Close()
	wanted, err = b.recorder.make(ctx, b.wanted())
	errs := []error{err}
	for _, c := range wanted {
		if c.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, c.Err))
		}
	}
	delegation, err := delegationKey(ctx)
	wanted, errs = append(wanted, delegation), append(errs, err)
	forbidden, err = b.recorder.make(ctx, b.forbidden())
	return wanted, forbidden, errors.Join(append(errs, err)...)
}

func (b *azureBed) wanted() []step {
	writers, readers := []Identity{Writer}, []Identity{Reader}
	looking := []Identity{Writer, Reader, Glass}
	key := func(name string) string { return "recordings/" + b.run + "-" + name + ".wav" }
	writer := func(name string, do func(ctx context.Context) error) step {
		return step{name, Writer, writers, true, do}
	}
	return []step{
		writer("store a recording, with tags", func(ctx context.Context) error { return b.put(ctx, key("small")) }),
		writer("store a recording in blocks, with tags", func(ctx context.Context) error { return b.parts(ctx, key("blocks"), true) }),
		writer("write a probe", func(ctx context.Context) error { return b.parts(ctx, objstore.ProbeKey, false) }),
		writer("write a sidecar", func(ctx context.Context) error { return b.put(ctx, "metadata/"+b.run+".json") }),
		{"look at a recording", Writer, looking, true, func(ctx context.Context) error { return second(b.writer.Stat(ctx, key("small"))) }},
		{"look for one that is not there", Writer, looking, true, func(ctx context.Context) error {
			if _, err := b.writer.Stat(ctx, key("absent")); !errors.Is(err, objstore.ErrNotExist) {
				return fmt.Errorf("got %w, want that it is not there", err)
			}
			return nil
		}},
		{"read a sidecar back", Writer, looking, true, func(ctx context.Context) error {
			return second(b.writer.ReadSidecar(ctx, "metadata/"+b.run+".json"))
		}},
		{"list every version", Reader, looking, true, func(ctx context.Context) error {
			for _, err := range b.reader.List(ctx, "recordings/") {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"read a recording", Reader, looking, true, func(ctx context.Context) error {
			body, err := b.reader.Open(ctx, key("small"), 0, -1)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, body)
			return errors.Join(err, body.Close())
		}},
		{"read its tags", Reader, []Identity{Reader, Glass}, true, func(ctx context.Context) error { return second(b.reader.Tags(ctx, key("small"))) }},
		{"follow a link to it", Reader, looking, true, func(ctx context.Context) error { return follow(ctx, b.reader, key("small")) }},
		{"seal the log", Reader, readers, true, func(ctx context.Context) error { return b.seal(ctx, "audit/"+b.run+"/checkpoint") }},
		{"doctor: the container", Reader, []Identity{Reader, Admin}, true, func(ctx context.Context) error { return second(b.inspector.Lock(ctx)) }},
		{"doctor: could the log be added to", Reader, readers, true, func(ctx context.Context) error {
			if may, err := b.inspector.MayCreate(ctx, "audit/doctor-probe"); err != nil || !may {
				return fmt.Errorf("it may not: %w", err)
			}
			return nil
		}},
	}
}

func (b *azureBed) put(ctx context.Context, key string) error {
	body := []byte("as small as it gets")
	return second(b.writer.Put(ctx, key, body, digest.Of(body), objstore.Options{ContentType: "audio/wav", Tags: tags()}))
}

// seal writes as the reconciler's vault does: without tags.
func (b *azureBed) seal(ctx context.Context, key string) error {
	body := []byte("a checkpoint")
	return second(b.writer.Put(ctx, key, body, digest.Of(body), objstore.Options{ContentType: "text/plain"}))
}

func (b *azureBed) parts(ctx context.Context, key string, commit bool) error {
	body := bytes.Repeat([]byte{7}, part+1)
	u, err := b.writer.Create(ctx, key, objstore.Options{ContentType: "audio/wav"})
	if err != nil {
		return err
	}
	for n, p := range [][]byte{body[:part], body[part:]} {
		if err := u.Part(ctx, n+1, p, digest.CRC64(p)); err != nil {
			return err
		}
	}
	if !commit {
		return u.Abort(ctx)
	}
	return second(u.Commit(ctx, digest.Of(body), tags()))
}

// anyToken stands for an identity's token: what counts is what is asked for with it.
type anyToken struct{}

// GetToken implements azcore.TokenCredential.
func (anyToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// delegationKey is what an identity asks the account for before it can sign links: the local server has no identities, so the
// SDK's request goes to one that only keeps it.
func delegationKey(ctx context.Context) (Call, error) {
	call := Call{Name: "get a key to sign links with", By: Reader, May: []Identity{Reader, Admin}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call.Requests = append(call.Requests, Request{Method: r.Method, Path: "/account" + r.URL.Path, Query: r.URL.Query(), Header: r.Header, Status: http.StatusForbidden})
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	client, err := service.NewClient(server.URL, anyToken{}, &service.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: server.Client(), Retry: policy.RetryOptions{MaxRetries: -1},
	}})
	if err != nil {
		return Call{}, err
	}
	now := time.Now().UTC()
	_, _ = client.GetUserDelegationCredential(ctx, service.KeyInfo{
		Start: to.Ptr(now.Format(sas.TimeFormat)), Expiry: to.Ptr(now.Add(time.Hour).Format(sas.TimeFormat)),
	}, nil)
	if len(call.Requests) == 0 {
		return Call{}, errors.New("no key was asked for")
	}
	return call, nil
}

// forbidden: who may everything makes them here, so that they are as the SDK makes them.
func (b *azureBed) forbidden() []step {
	there, audit := "recordings/"+b.run+"-small.wav", "audit/"+b.run+"/checkpoint"
	put := func(name string, may []Identity, key string, condition *blob.AccessConditions) step {
		return step{name: name, by: Glass, may: may, do: func(ctx context.Context) error {
			return second(b.raw.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(strings.NewReader("new")), &blockblob.UploadOptions{AccessConditions: condition}))
		}}
	}
	absent := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	of := func(name string, may []Identity, do func(ctx context.Context, c *blob.Client) error) step {
		return step{name: name, by: Glass, may: may, do: func(ctx context.Context) error { return do(ctx, b.raw.NewBlobClient(there)) }}
	}
	glass, writer := []Identity{Glass}, []Identity{Writer}
	return []step{
		put(AddRecording, writer, "recordings/"+b.run+"-new", absent),
		put(AddToLog, []Identity{Reader}, "audit/"+b.run+"/new", absent),
		put(AddElsewhere, nil, "elsewhere/"+b.run, absent),
		put("overwrite an entry of the log", nil, audit, nil),
		put(Overwrite, writer, there, nil),
		of("change a recording's metadata", writer, func(ctx context.Context, c *blob.Client) error {
			return second(c.SetMetadata(ctx, map[string]*string{"crc64nvme": to.Ptr("AAAAAAAAAAA=")}, nil))
		}),
		of("move a recording to another tier", writer, func(ctx context.Context, c *blob.Client) error {
			return second(c.SetTier(ctx, blob.AccessTierCold, nil))
		}),
		of("change a recording's tags", writer, func(ctx context.Context, c *blob.Client) error { return second(c.SetTags(ctx, tags(), nil)) }),
		of("shorten retention", nil, func(ctx context.Context, c *blob.Client) error {
			return second(c.SetImmutabilityPolicy(ctx, time.Now().Add(time.Hour), nil))
		}),
		of("take retention away", nil, func(ctx context.Context, c *blob.Client) error { return second(c.DeleteImmutabilityPolicy(ctx, nil)) }),
		of("lift a legal hold", nil, func(ctx context.Context, c *blob.Client) error { return second(c.SetLegalHold(ctx, false, nil)) }),
		of("delete a version", glass, func(ctx context.Context, c *blob.Client) error {
			version, err := c.WithVersionID("2026-01-01T00:00:00.0000000Z")
			if err != nil {
				return err
			}
			return second(version.Delete(ctx, nil))
		}),
		of("delete a recording", glass, func(ctx context.Context, c *blob.Client) error { return second(c.Delete(ctx, nil)) }),
		{name: "open the container to the public", by: Glass, may: []Identity{Admin}, do: func(ctx context.Context) error {
			return second(b.raw.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{}))
		}},
	}
}
