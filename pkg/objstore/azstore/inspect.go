package azstore

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var _ objstore.Inspector = (*Inspector)(nil)

// Inspector tells how a container is set up, as far as the blob service does: regions, lifecycle rules and the length of a
// container's policy are known to Azure Resource Manager only. It is safe for concurrent use.
type Inspector struct {
	Reader
	config   Config
	stranger *container.Client // without credentials
}

// OpenInspector prepares a container for being looked at, as Open does for writing.
func OpenInspector(_ context.Context, c Config, list ...Option) (*Inspector, error) {
	a, err := open(c, list)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	objstore.TuneTransport(transport, objstore.StallTimeout)
	stranger, err := container.NewClientWithNoCredential(c.address(), &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}, Telemetry: policy.TelemetryOptions{Disabled: true},
	}})
	if err != nil {
		return nil, fmt.Errorf("open the Azure container %s: %s", c.Container, fault.Text(err))
	}
	return &Inspector{Reader{*a}, c, stranger}, nil
}

// cannotTell is objstore.ErrCannotTell with its reason.
func cannotTell(format string, args ...any) error {
	return fmt.Errorf("%w: %s", objstore.ErrCannotTell, fmt.Sprintf(format, args...))
}

// properties asks for the container's properties, which no shared access signature of a container may.
func (i *Inspector) properties(ctx context.Context) (container.GetPropertiesResponse, error) {
	out, err := i.client.GetProperties(ctx, nil)
	if err == nil {
		return out, nil
	}
	if a, ok := answered(err); ok && unpermitted(a) {
		return out, cannotTell("these credentials may not ask for the container's properties; an identity with the role Storage Blob Data Reader may")
	}
	return out, i.fail("ask for the container's properties", err)
}

// unpermitted reports whether an identity that the service knows may not do what it asked for.
func unpermitted(a *azcore.ResponseError) bool {
	switch bloberror.Code(a.ErrorCode) {
	case bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure, bloberror.AuthorizationResourceTypeMismatch,
		bloberror.AuthorizationServiceMismatch, bloberror.InsufficientAccountPermissions, bloberror.UnauthorizedBlobOverwrite:
		return true
	}
	return false
}

// Clock implements objstore.Inspector: the date of an answer about a blob that is not there.
func (i *Inspector) Clock(ctx context.Context) (time.Time, error) {
	_, err := i.client.NewBlobClient(nobodysKey()).GetProperties(ctx, nil)
	a, ok := answered(err)
	if !ok || !absent(err) {
		return time.Time{}, i.fail("ask for the time", err)
	}
	at, err := http.ParseTime(a.RawResponse.Header.Get("Date"))
	if err != nil {
		return time.Time{}, cannotTell("its answers have no date")
	}
	return at.UTC(), nil
}

// Region implements objstore.Inspector.
func (i *Inspector) Region(context.Context) (string, error) {
	return "", cannotTell("only Azure Resource Manager knows it: az storage account show --query primaryLocation")
}

// Versioning implements objstore.Inspector: the service names the versions of what was written since they were turned on.
func (i *Inspector) Versioning(ctx context.Context) (bool, error) {
	if p, err := i.properties(ctx); err == nil && value(p.IsImmutableStorageWithVersioningEnabled) {
		return true, nil // which rests on versions
	}
	var one int32 = 1
	page, err := i.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		MaxResults: &one, Include: container.ListBlobsInclude{Versions: true},
	}).NextPage(ctx)
	switch {
	case err != nil:
		return false, i.fail("look for versions", err)
	case page.Segment == nil || len(page.Segment.BlobItems) == 0:
		return false, cannotTell("the container is empty: az storage account blob-service-properties show --query isVersioningEnabled")
	case value(page.Segment.BlobItems[0].VersionID) == "":
		return false, cannotTell("its first blob has no version, but may be older than the setting: az storage account blob-service-properties show --query isVersioningEnabled")
	}
	return true, nil
}

// Lock implements objstore.Inspector.
func (i *Inspector) Lock(ctx context.Context) (objstore.Lock, error) {
	p, err := i.properties(ctx)
	if err != nil {
		return objstore.Lock{}, err
	}
	return objstore.Lock{Possible: value(p.IsImmutableStorageWithVersioningEnabled), Default: value(p.HasImmutabilityPolicy)}, nil
}

// Encryption implements objstore.Inspector. Azure encrypts everything; what can be chosen is the scope.
func (i *Inspector) Encryption(ctx context.Context) (objstore.Encryption, error) {
	p, err := i.properties(ctx)
	if err != nil {
		return objstore.Encryption{}, err
	}
	e := objstore.Encryption{Default: "AES-256", Key: value(p.DefaultEncryptionScope), Forced: value(p.DenyEncryptionScopeOverride)}
	if e.Key == "$account-encryption-key" {
		e.Key = ""
	}
	return e, nil
}

// Exposure implements objstore.Inspector: a stranger asks for a blob that is not there. Where strangers may read blobs they
// are told so; where they may not, the service does not tell what there is (Azure Storage, "Configure anonymous read access").
func (i *Inspector) Exposure(ctx context.Context) ([]string, error) {
	_, err := i.stranger.NewBlobClient(nobodysKey()).GetProperties(ctx, nil)
	a, ok := answered(err)
	switch {
	case err == nil, ok && bloberror.Code(a.ErrorCode) == bloberror.BlobNotFound:
		return []string{"anybody may read the container's blobs"}, nil
	case !ok:
		return nil, i.fail("ask as a stranger", err)
	case a.StatusCode >= http.StatusInternalServerError:
		return nil, i.fail("ask as a stranger", err)
	}
	return nil, nil
}

// Lifecycle implements objstore.Inspector.
func (i *Inspector) Lifecycle(context.Context) ([]objstore.Rule, error) {
	return nil, cannotTell("only Azure Resource Manager knows the rules: az storage account management-policy show")
}
