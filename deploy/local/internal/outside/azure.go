package outside

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// Azure is the backup tier's store.
type Azure struct{ client *container.Client }

// NewAzure makes a reader of a container. sas is an access token that allows reading, listing and reading tags.
func NewAzure(containerURL, sas string) (*Azure, error) {
	client, err := container.NewClientWithNoCredential(containerURL+"?"+sas, nil)
	if err != nil {
		return nil, fmt.Errorf("make a reader of the container: %w", err)
	}
	return &Azure{client: client}, nil
}

// Name implements Store.
func (a *Azure) Name() string { return "backup" }

// List implements Store.
func (a *Azure) List(ctx context.Context) ([]Entry, error) {
	var all []Entry
	pages := a.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Include: container.ListBlobsInclude{Metadata: true, Snapshots: true},
	})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the container: %w", err)
		}
		for _, b := range page.Segment.BlobItems {
			e := Entry{Key: *b.Name}
			if b.Properties != nil && b.Properties.ContentLength != nil {
				e.Size = *b.Properties.ContentLength
			}
			if b.VersionID != nil {
				e.Version = *b.VersionID
			}
			if b.Snapshot != nil && *b.Snapshot != "" {
				e.Version, e.What = *b.Snapshot, Snapshot
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// Open implements Store.
func (a *Azure) Open(ctx context.Context, e Entry) (Object, io.ReadCloser, error) {
	client := a.client.NewBlobClient(e.Key)
	tags, err := client.GetTags(ctx, nil)
	if err != nil {
		return Object{}, nil, fmt.Errorf("read the tags of %s in the container: %w", e.Key, err)
	}
	got, err := client.DownloadStream(ctx, &blob.DownloadStreamOptions{})
	if err != nil {
		return Object{}, nil, fmt.Errorf("read %s in the container: %w", e.Key, err)
	}
	o := Object{Tags: make(map[string]string)}
	if got.ContentLength != nil {
		o.Size = *got.ContentLength
	}
	if got.ContentType != nil {
		o.ContentType = *got.ContentType
	}
	for name, value := range got.Metadata {
		// Header names have no case of their own.
		if strings.EqualFold(name, "crc64nvme") && value != nil {
			o.CRC64 = *value
		}
	}
	for _, t := range tags.BlobTagSet {
		o.Tags[*t.Key] = *t.Value
	}
	return o, got.Body, nil
}
