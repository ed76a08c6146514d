package s3store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// Environment has the credentials taken from another program's environment: from its AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, or the file that its AWS_SHARED_CREDENTIALS_FILE names. What the SDK's chain would find elsewhere
// (a role, a token's file, the machine's own identity) is found only where that program runs: then opening fails with
// objstore.ErrNoCredentials.
func Environment(lookup func(string) (string, bool)) Option {
	return func(o *options) { o.lookup = lookup }
}

// foreign finds the credentials in another program's environment.
func foreign(ctx context.Context, lookup func(string) (string, bool)) (aws.CredentialsProvider, error) {
	value := func(name string) string { v, _ := lookup(name); return v }
	if access, secret := value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"); access != "" && secret != "" {
		return credentials.NewStaticCredentialsProvider(access, secret, value("AWS_SESSION_TOKEN")), nil
	}
	path := value("AWS_SHARED_CREDENTIALS_FILE")
	if path == "" {
		return nil, fmt.Errorf("%w in that environment: neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY nor AWS_SHARED_CREDENTIALS_FILE is set; "+
			"others are found only where the program runs", objstore.ErrNoCredentials)
	}
	profile := value("AWS_PROFILE")
	if profile == "" {
		profile = config.DefaultSharedConfigProfile
	}
	shared, err := config.LoadSharedConfigProfile(ctx, profile, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{}
	})
	if err != nil || !shared.Credentials.HasKeys() {
		return nil, fmt.Errorf("%w: %s holds no access key of the profile %s", objstore.ErrNoCredentials, path, profile)
	}
	return credentials.StaticCredentialsProvider{Value: shared.Credentials}, nil
}
