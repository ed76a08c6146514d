package stack

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// AzureAccess is how to reach the Azure Blob server.
type AzureAccess struct {
	ServiceURL, Account, Container string
	// Key is the account's key; only the stack itself and tests use it.
	Key string
	// WriterSAS may create blobs, tag them and look; it cannot delete.
	WriterSAS string
	// ReaderSAS may look and list.
	ReaderSAS string
}

// ContainerURL is the container's address, without credentials.
func (a AzureAccess) ContainerURL() string { return a.ServiceURL + "/" + a.Container }

func (s *Stack) describeAzure(set tools.Set, port int) error {
	dir, err := s.folder("azure")
	if err != nil {
		return err
	}
	const account = "twinreel"
	s.AzureAccess = AzureAccess{
		ServiceURL: "http://" + loopback(port) + "/" + account, Account: account, Container: "recordings",
		Key: base64.StdEncoding.EncodeToString([]byte(secret(32))),
	}
	s.azureArgs = []string{
		set.Azurite, "--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(port), "--location", dir,
		// Longer than any client keeps an idle connection, so that none is closed under a request.
		"--blobKeepAliveTimeout", "300",
		"--skipApiVersionCheck", "--disableTelemetry", "--silent",
	}
	s.Azure = &Server{
		Name: "azurite", Addr: loopback(port),
		spec: process.Spec{
			Name: "azurite", Path: set.Node, Dir: dir, Log: filepath.Join(s.Dir, "azure.log"),
			Args: s.azureArgs,
			Env:  append(os.Environ(), "AZURITE_ACCOUNTS="+account+":"+s.AzureAccess.Key),
		},
		ready: answers("http://"+loopback(port), 0),
	}
	return nil
}

// prepareAzure makes the container and the limited keys to it.
func (s *Stack) prepareAzure(ctx context.Context) error { return s.AzureAccess.createContainer(ctx) }

// createContainer makes the container and the two limited keys to it.
func (a *AzureAccess) createContainer(ctx context.Context) error {
	cred, err := container.NewSharedKeyCredential(a.Account, a.Key)
	if err != nil {
		return fmt.Errorf("use the Azure account key: %w", err)
	}
	client, err := container.NewClientWithSharedKeyCredential(a.ContainerURL(), cred, nil)
	if err != nil {
		return fmt.Errorf("make an Azure client: %w", err)
	}
	if _, err := client.Create(ctx, nil); err != nil {
		return fmt.Errorf("create the container %s: %w", a.Container, err)
	}
	return a.signAll()
}

// signAll makes the two limited keys, good for a month.
func (a *AzureAccess) signAll() error {
	cred, err := container.NewSharedKeyCredential(a.Account, a.Key)
	if err != nil {
		return fmt.Errorf("use the Azure account key: %w", err)
	}
	end := time.Now().Add(30 * 24 * time.Hour)
	if a.WriterSAS, err = a.WriterUntil(end); err != nil {
		return err
	}
	a.ReaderSAS, err = a.sign(cred, end, sas.ContainerPermissions{Read: true, List: true, Tag: true})
	return err
}

// sign makes an access token to the container.
func (a *AzureAccess) sign(cred *container.SharedKeyCredential, end time.Time, may sas.ContainerPermissions) (string, error) {
	q, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ContainerName: a.Container, Permissions: may.String(),
		StartTime: time.Now().UTC().Add(-time.Hour), ExpiryTime: end.UTC(),
	}.SignWithSharedKey(cred)
	if err != nil {
		return "", fmt.Errorf("sign an Azure access token: %w", err)
	}
	return q.Encode(), nil
}
