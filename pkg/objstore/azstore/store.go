// Package azstore is the seam objstore on Azure Blob Storage, in block blobs.
//
// What it rests on (Azure Blob REST API: Put Blob, Put Block, Put Block List): If-None-Match: * makes both creating calls
// conditional; x-ms-content-crc64 – the same CRC-64/NVME as S3's, but little-endian – makes the service check the body of
// a Put Blob or Put Block and refuse it when it differs. There is no checksum of a blob that was put together from blocks:
// the driver computes the whole's from the blocks' before it commits, and writes it into the blob's metadata, where Stat
// finds it.
//
// The SDK retries nothing here: a committing call that is sent again after its answer was lost would meet its own blob.
// Only a block, which may be sent twice without harm, is sent a second time when its connection breaks.
package azstore

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var (
	_ objstore.Writer = (*Store)(nil)
	_ objstore.Reader = (*Reader)(nil)
)

// Store adds blobs to a container. It is safe for concurrent use.
type Store struct {
	account
	config Config
}

// Reader looks at a container. It is safe for concurrent use.
type Reader struct{ account }

// account is what Store and Reader have in common.
type account struct {
	client *container.Client
	signer signer
	name   string // the container's
	now    func() time.Time
}

// Bucket returns the container's name.
func (a *account) Bucket() string { return a.name }

// Option changes how a store is opened.
type Option func(*options)

type options struct{ now func() time.Time }

// Clock sets the clock from which an immutability policy counts.
func Clock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// Open prepares a container for writing. It does not ask the service anything: a store that is away is no reason not to
// start.
func Open(_ context.Context, c Config, list ...Option) (*Store, error) {
	a, err := open(c, list)
	if err != nil {
		return nil, err
	}
	return &Store{*a, c}, nil
}

// OpenReader prepares a container for reading, as Open does for writing.
func OpenReader(_ context.Context, c Config, list ...Option) (*Reader, error) {
	a, err := open(c, list)
	if err != nil {
		return nil, err
	}
	return &Reader{*a}, nil
}

func open(c Config, list []Option) (*account, error) {
	o := options{now: time.Now}
	for _, set := range list {
		set(&o)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	objstore.TuneTransport(transport, objstore.StallTimeout)
	client, signer, err := connect(c, &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport},
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}}, o.now)
	if err != nil {
		return nil, fmt.Errorf("open the Azure container %s: %s", c.Container, fault.Text(err))
	}
	return &account{client: client, signer: signer, name: c.Container, now: o.now}, nil
}

// absentOnly is the condition of both creating calls: no blob of that name.
func absentOnly() *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
}

func (c Config) tier() *blob.AccessTier {
	if c.AccessTier == "" {
		return nil
	}
	return to.Ptr(blob.AccessTier(c.AccessTier))
}

func (c Config) scope() *blob.CPKScopeInfo {
	if c.EncryptionScope == "" {
		return nil
	}
	return &blob.CPKScopeInfo{EncryptionScope: to.Ptr(c.EncryptionScope)}
}

// immutable returns until when a blob made now is locked, and how; nil for not at all.
func (c Config) immutable(now time.Time) (*time.Time, *blob.ImmutabilityPolicySetting) {
	if c.ImmutabilityDays == 0 {
		return nil, nil
	}
	return to.Ptr(now.UTC().AddDate(0, 0, c.ImmutabilityDays)), to.Ptr(blob.ImmutabilityPolicySettingLocked)
}
