package scrub

import (
	"bytes"
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

// garbling is a store of which each reading of an object brings other bytes, or the same few.
type garbling struct {
	objstore.Reader
	key    string
	few    bool
	opened byte
}

func (s *garbling) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	body, err := s.Reader.Open(ctx, key, off, n)
	if err != nil || key != s.key {
		return body, err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if s.opened++; s.few {
		return io.NopCloser(bytes.NewReader(b[:1])), nil
	}
	b[0] ^= s.opened
	return io.NopCloser(bytes.NewReader(b)), nil
}

// breaking is the end of an answer.
type breaking struct{ off bool }

func (b breaking) Read([]byte) (int, error) {
	if b.off {
		return 0, away()
	}
	return 0, io.EOF
}
