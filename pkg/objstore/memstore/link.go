package memstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// link is what a Link of this store allows.
type link struct {
	key   string
	until time.Time
}

// ServeAt says where the store, which is an http.Handler, answers to its links. Before that it cannot make any.
func (s *Store) ServeAt(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = address
}

// Link implements objstore.Reader.
func (s *Store) Link(ctx context.Context, key string, ttl time.Duration) (made objstore.Link, err error) {
	op := "link " + key
	life, err := objstore.LinkLife(op, ttl)
	if err != nil {
		return objstore.Link{}, err
	}
	err = s.do(ctx, Link, key, func() error {
		if s.address == "" {
			return fault.New(fault.Denied, fault.Store, op, fmt.Errorf("%w: the store is not served", objstore.ErrCannotLink))
		}
		sig := rand.Text()
		l := link{key, s.now().UTC().Truncate(time.Second).Add(life)}
		s.links[sig] = l
		u := url.URL{Path: "/" + s.bucket + "/" + key, RawQuery: "sig=" + sig}
		made = objstore.Link{URL: s.address + u.String(), ExpiresAt: l.until}
		return nil
	})
	return made, err
}

// ServeHTTP answers to the store's links as the clouds do: 403 for any other, 404 where there is no object.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	l, known := s.links[r.URL.Query().Get("sig")]
	o, there := s.objects[l.key]
	fresh := s.now().Before(l.until)
	s.mu.Unlock()
	switch {
	case !known, !fresh, r.URL.Path != "/"+s.bucket+"/"+l.key, r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusForbidden)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", `"`+o.ETag+`"`)
		w.Header().Set("Content-Type", o.ContentType)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.Body))
	}
}
