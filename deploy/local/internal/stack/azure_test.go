package stack_test

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

func writerOfAzureCanOnlyAdd(t *testing.T, s *stack.Stack) {
	ctx, a := t.Context(), s.AzureAccess
	client := func(sas string) *container.Client {
		c, err := container.NewClientWithNoCredential(a.ContainerURL()+"?"+sas, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	writer, reader := client(a.WriterSAS), client(a.ReaderSAS)
	upload := func(c *container.Client, key string) error {
		_, err := c.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(strings.NewReader("body")), &blockblob.UploadOptions{
			Tags: map[string]string{"source": "default"}, Metadata: map[string]*string{"crc64nvme": to.Ptr("x")},
		})
		return err
	}
	if err := upload(writer, "recordings/one.wav"); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure) {
			t.Errorf("%s: error %v, want a refusal", what, err)
		}
	}
	_, err := writer.NewBlobClient("recordings/one.wav").Delete(ctx, nil)
	refused("the writer deletes", err)
	refused("the reader uploads", upload(reader, "recordings/two.wav"))
	_, err = reader.NewBlobClient("recordings/one.wav").SetMetadata(ctx, map[string]*string{"a": to.Ptr("b")}, &blob.SetMetadataOptions{})
	refused("the reader changes metadata", err)
	page, err := reader.NewListBlobsFlatPager(nil).NextPage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Segment.BlobItems) != 1 {
		t.Errorf("the reader lists %d blobs, want 1", len(page.Segment.BlobItems))
	}
}
