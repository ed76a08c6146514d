package calls

import (
	"fmt"
	"net/http"
	"strings"
)

// AzureRight is one right that a request to Azure Blob Storage takes: any one of these actions.
type AzureRight struct {
	Any  []string
	Data bool   // data actions
	Path string // the blob's name; "" for the container or the account
	// Account says that it is asked of the account, not of the container.
	Account bool
}

// What actions begin with.
const (
	azureBlobs      = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
	azureContainers = "Microsoft.Storage/storageAccounts/blobServices/containers"
	azureService    = "Microsoft.Storage/storageAccounts/blobServices"
)

// AzureRights are the rights that a request takes (Azure Storage REST API, "Authorize with Microsoft Entra ID", the table of
// permissions for each operation). The path is the emulator's: /account/container/blob.
func AzureRights(r Request) ([]AzureRight, error) {
	parts := strings.SplitN(strings.TrimPrefix(r.Path, "/"), "/", 3)
	blob := ""
	if len(parts) == 3 {
		blob = parts[2]
	}
	data := func(names ...string) AzureRight {
		out := AzureRight{Data: true, Path: blob}
		for _, n := range names {
			out.Any = append(out.Any, azureBlobs+"/"+n)
		}
		return out
	}
	comp, kind := r.Query.Get("comp"), r.Query.Get("restype")
	switch {
	case kind == "service" && comp == "userdelegationkey":
		return []AzureRight{{Any: []string{azureService + "/generateUserDelegationKey/action"}, Account: true}}, nil
	case kind == "container" && comp == "list":
		return []AzureRight{data("read")}, nil
	case kind == "container" && comp == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return []AzureRight{{Any: []string{azureContainers + "/read"}}}, nil
	case kind == "container" && comp == "" && r.Method == http.MethodDelete:
		return []AzureRight{{Any: []string{azureContainers + "/delete"}}}, nil
	case kind == "container" && r.Method == http.MethodPut:
		return []AzureRight{{Any: []string{azureContainers + "/write"}}}, nil
	case blob == "":
		return nil, fmt.Errorf("nobody has said what rights %s %s takes", r.Method, r.Query.Encode())
	case comp == "tags" && r.Method == http.MethodGet:
		return []AzureRight{data("tags/read")}, nil
	case comp == "tags" && r.Method == http.MethodPut:
		return []AzureRight{data("tags/write")}, nil
	case comp == "immutabilityPolicies" || comp == "legalhold":
		return []AzureRight{data("immutableStorage/runAsSuperUser/action")}, nil
	case r.Method == http.MethodPut && comp == "" && r.Header.Get("X-Ms-Copy-Source") == "":
		names := []string{"write"}
		if r.Header.Get("If-None-Match") == "*" {
			names = append(names, "add/action") // to make a blob that is not there
		}
		return with(r, data, data(names...)), nil
	case r.Method == http.MethodPut && comp == "blocklist":
		return with(r, data, data("write")), nil
	case r.Method == http.MethodPut && (comp == "block" || comp == "metadata" || comp == "properties" || comp == "tier" || comp == "snapshot" || comp == "undelete"):
		return []AzureRight{data("write")}, nil
	case r.Method == http.MethodDelete && r.Query.Get("versionid") != "":
		return []AzureRight{data("deleteBlobVersion/action")}, nil
	case r.Method == http.MethodDelete:
		return []AzureRight{data("delete")}, nil
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && comp == "":
		return []AzureRight{data("read")}, nil
	}
	return nil, fmt.Errorf("nobody has said what rights %s comp=%s takes", r.Method, comp)
}

// with adds what a creating request's headers take.
func with(r Request, data func(names ...string) AzureRight, right AzureRight) []AzureRight {
	out := []AzureRight{right}
	if r.Header.Get("X-Ms-Tags") != "" {
		out = append(out, data("tags/write"))
	}
	if r.Header.Get("X-Ms-Immutability-Policy-Until-Date") != "" {
		out = append(out, data("immutableStorage/runAsSuperUser/action"))
	}
	return out
}
