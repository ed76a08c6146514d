package scrub

import (
	"context"
	"io"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// brittle is a store whose answers break off after so many bytes.
type brittle struct {
	objstore.Reader
	key    string
	after  int64
	opened int
}

func (s *brittle) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	body, err := s.Reader.Open(ctx, key, off, n)
	if err != nil || key != s.key {
		return body, err
	}
	s.opened++
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, s.after), breaking{n > s.after}), body}, nil
}

// breaking is the end of an answer.
type breaking struct{ off bool }

func (b breaking) Read([]byte) (int, error) {
	if b.off {
		return 0, away()
	}
	return 0, io.EOF
}
