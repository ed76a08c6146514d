package outside

import "github.com/twinreel/twinreel/deploy/local/internal/stack"

// Of returns both stores of a world, primary first, as a reader sees them: S3 by its owner's keys, since only those list
// unfinished uploads of others.
func Of(w stack.World) ([]Store, error) {
	azure, err := NewAzure(w.Azure.ContainerURL(), w.Azure.ReaderSAS)
	if err != nil {
		return nil, err
	}
	return []Store{NewS3(w.S3.Endpoint, w.S3.Region, w.S3.Bucket, w.S3.Root.Access, w.S3.Root.Secret), azure}, nil
}
