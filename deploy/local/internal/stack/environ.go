package stack

import (
	"maps"
	"slices"

	"github.com/twinreel/twinreel/pkg/testenv"
)

// Environ is what tests need to know of the stack: KEY=value, by the names of package testenv. bin is the folder of the
// programs.
func (s *Stack) Environ(bin string) []string {
	values := map[string]string{
		testenv.NATSURL:          s.NATSAccess.URL,
		testenv.PeerNATSURL:      s.PeerURL,
		testenv.RedisURL:         s.RedisURL,
		testenv.S3Endpoint:       s.S3Access.Endpoint,
		testenv.S3Region:         s.S3Access.Region,
		testenv.S3Bucket:         s.S3Access.Bucket,
		testenv.S3WriterKey:      s.S3Access.Writer.Access,
		testenv.S3WriterSecret:   s.S3Access.Writer.Secret,
		testenv.S3ReaderKey:      s.S3Access.Reader.Access,
		testenv.S3ReaderSecret:   s.S3Access.Reader.Secret,
		testenv.S3RootKey:        s.S3Access.Root.Access,
		testenv.S3RootSecret:     s.S3Access.Root.Secret,
		testenv.AzureServiceURL:  s.AzureAccess.ServiceURL,
		testenv.AzureAccountName: s.AzureAccess.Account,
		testenv.AzureAccountKey:  s.AzureAccess.Key,
		testenv.AzureContainer:   s.AzureAccess.Container,
		testenv.Bin:              bin,
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}
