package calls

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
)

// follow reads an object by a link, as the sibling's worker does.
func follow(ctx context.Context, store objstore.Reader, key string) error {
	link, err := store.Link(ctx, key, time.Minute)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the link is answered %d", answer.StatusCode)
	}
	return nil
}
