package azstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// storageScope is what tokens for the blob service are asked for.
const storageScope = "https://storage.azure.com/.default"

// mark tells one secret from another without telling either.
func mark(secret string) string {
	sum := sha256.Sum256([]byte("twinreel identity\n" + secret))
	return hex.EncodeToString(sum[:4])
}

// identify implements signer.
func (k *rotatingKey) identify(context.Context) (objstore.Identity, error) {
	return objstore.Identity{Kind: "account key", Mark: mark(k.secret.Get()), Owner: true}, nil
}

// identify implements signer. A signature says itself what it permits and until when, unless it leaves that to a stored
// access policy.
func (s rotatingSAS) identify(context.Context) (objstore.Identity, error) {
	q, err := query(s.secret.Get())
	if err != nil {
		return objstore.Identity{}, err
	}
	id := objstore.Identity{Kind: "shared access signature", Mark: mark(q.Get("sig")), Rights: q.Get("sp")}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} { // those that the service takes
		if at, err := time.Parse(layout, q.Get("se")); err == nil {
			id.Expires = at.UTC()
			break
		}
	}
	return id, nil
}

// identify implements signer, by the object ID in a token of the identity's. Tokens come and go, so their end says nothing.
func (d *delegation) identify(ctx context.Context) (objstore.Identity, error) {
	token, err := d.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}})
	if err != nil {
		return objstore.Identity{}, err
	}
	id := objstore.Identity{Kind: "identity"}
	var claims struct {
		Object string `json:"oid"`
	}
	if parts := strings.Split(token.Token, "."); len(parts) == 3 {
		if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(b, &claims) == nil {
			id.Mark = claims.Object
		}
	}
	return id, nil
}
