package s3store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// Bounds of reading credentials again.
const (
	lookEvery   = 5 * time.Second // a changed file is seen at the first request later than this
	loadTimeout = 5 * time.Second
	renewBefore = time.Minute // credentials that expire are asked for anew so much before they do
)

// rereading is the SDK's own chain of credentials, which reads the shared files only once, loaded again when one of
// them changes. A file that is emptied, unreadable or useless leaves the last good credentials in use; so does a role
// that is refused, or its token's file, until they expire.
type rereading struct {
	load  func(context.Context) (aws.CredentialsProvider, error)
	files []string
	now   func() time.Time
	warn  func(text string)

	mu      sync.Mutex
	current aws.CredentialsProvider
	state   []fileState // what current was loaded from
	looked  time.Time
	trouble string          // what was warned about last, "" while all is well
	last    aws.Credentials // given out last
	refused bool            // since then, and warned about
}

// fileState tells one content of a file from another.
type fileState struct {
	usable bool
	size   int64
	mod    time.Time
}

// sharedFiles returns the paths of the SDK's shared files.
func sharedFiles() []string {
	files := []string{config.DefaultSharedCredentialsFilename(), config.DefaultSharedConfigFilename()}
	for i, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"} {
		if path := os.Getenv(name); path != "" {
			files[i] = path
		}
	}
	return files
}

// Retrieve implements aws.CredentialsProvider.
func (r *rereading) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := r.provider(ctx).Retrieve(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.last, r.refused = c, false
		return c, nil
	}
	// The SDK's cache calls them expired renewBefore they are.
	if r.last.HasKeys() && (!r.last.CanExpire || r.now().Before(r.last.Expires.Add(renewBefore))) {
		if !r.refused {
			r.refused = true
			r.warn("new AWS credentials cannot be had; the last ones stay in use until they expire")
		}
		return r.last, nil
	}
	return c, fmt.Errorf("%w: %w", objstore.ErrNoCredentials, err)
}

// provider returns the provider to use now.
func (r *rereading) provider(ctx context.Context) aws.CredentialsProvider {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if age := now.Sub(r.looked); age >= 0 && age < lookEvery {
		return r.current
	}
	r.looked = now
	state := look(r.files)
	if slices.Equal(state, r.state) {
		r.trouble = ""
		return r.current
	}
	if err := r.reload(ctx, state); err != nil {
		if text := err.Error() + "; the last good credentials stay in use"; text != r.trouble {
			r.trouble = text
			r.warn(text)
		}
		return r.current
	}
	r.state, r.trouble = state, ""
	return r.current
}

// reload loads the chain again and tries it.
func (r *rereading) reload(ctx context.Context, state []fileState) error {
	for i, f := range r.state {
		if f.usable && !state[i].usable {
			return fmt.Errorf("file %s is empty or cannot be read", r.files[i])
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	fresh, err := r.load(ctx)
	if err == nil {
		_, err = fresh.Retrieve(ctx)
	}
	if err != nil {
		return errors.New("the changed AWS credentials cannot be used") // the cause may quote them
	}
	r.current = fresh
	return nil
}

// look describes the files as they are now.
func look(files []string) []fileState {
	out := make([]fileState, len(files))
	for i, path := range files {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if s, err := f.Stat(); err == nil && s.Size() > 0 {
			out[i] = fileState{usable: true, size: s.Size(), mod: s.ModTime()}
		}
		_ = f.Close() // only looked at
	}
	return out
}
