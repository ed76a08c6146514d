package s3store

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is how a program finds its bucket and what it asks of it. Credentials are found by the AWS SDK's own chain.
type Config struct {
	Bucket         string `env:"TWINREEL_S3_BUCKET" required:"true" meaning:"S3 bucket of the primary tier; credentials come by the AWS SDK's own chain"`
	Region         string `env:"TWINREEL_S3_REGION" required:"true" meaning:"its region"`
	Endpoint       string `env:"TWINREEL_S3_ENDPOINT" meaning:"http(s) address of an S3 server that is not AWS"`
	PathStyle      bool   `env:"TWINREEL_S3_PATH_STYLE" envDefault:"false" meaning:"the bucket's name goes into the path instead of the host"`
	SSE            string `env:"TWINREEL_S3_SSE" envDefault:"none" meaning:"encryption at rest: none (the bucket's default), AES256 or aws:kms"`
	KMSKeyID       string `env:"TWINREEL_S3_SSE_KMS_KEY_ID" meaning:"the key of aws:kms; unset: the account's default"`
	ObjectLockMode string `env:"TWINREEL_S3_OBJECT_LOCK_MODE" meaning:"object lock of each object: GOVERNANCE or COMPLIANCE"`
	ObjectLockDays int    `env:"TWINREEL_S3_OBJECT_LOCK_DAYS" envDefault:"0" meaning:"days of the object lock"`
}

// noSSE leaves encryption to the bucket's default.
const noSSE = "none"

// maxLockDays is the longest lock that S3 takes: a hundred years.
const maxLockDays = 36500

// Check implements settings.Checker.
func (c Config) Check() []settings.Problem {
	var all []settings.Problem
	wrong := func(variable, format string, args ...any) {
		all = append(all, settings.Problem{Variable: variable, Text: fmt.Sprintf(format, args...)})
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || !slices.Contains([]string{"http", "https"}, u.Scheme)) {
		wrong("TWINREEL_S3_ENDPOINT", "want an address such as https://s3.example.com:9000, without user and query")
	}
	if !slices.Contains([]string{noSSE, string(types.ServerSideEncryptionAes256), string(types.ServerSideEncryptionAwsKms)}, c.SSE) {
		wrong("TWINREEL_S3_SSE", "want none, AES256 or aws:kms, got %q", c.SSE)
	}
	if c.KMSKeyID != "" && c.SSE != string(types.ServerSideEncryptionAwsKms) {
		wrong("TWINREEL_S3_SSE_KMS_KEY_ID", "is of use only with TWINREEL_S3_SSE=aws:kms")
	}
	if c.ObjectLockMode != "" && !slices.Contains(types.ObjectLockMode("").Values(), types.ObjectLockMode(c.ObjectLockMode)) {
		wrong("TWINREEL_S3_OBJECT_LOCK_MODE", "want GOVERNANCE or COMPLIANCE, got %q", c.ObjectLockMode)
	}
	switch {
	case c.ObjectLockDays < 0 || c.ObjectLockDays > maxLockDays:
		wrong("TWINREEL_S3_OBJECT_LOCK_DAYS", "want 0 to %d days", maxLockDays)
	case (c.ObjectLockDays > 0) != (c.ObjectLockMode != ""):
		wrong("TWINREEL_S3_OBJECT_LOCK_DAYS", "set it together with TWINREEL_S3_OBJECT_LOCK_MODE, or neither")
	}
	return all
}
