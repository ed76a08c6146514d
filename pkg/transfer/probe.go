package transfer

import (
	"context"
	"errors"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Probe asks whether the store takes writes at all, by a part that is aborted. A HEAD, or a conditional PUT that fails
// early, would not see a full quota or a missing permission on the key. It is begun with a tag, as a recording is, so that
// a missing permission for those is seen too. It begins with a look for what is never there, which S3 denies to who may not
// list the bucket: each recording looks so, and would be refused for it.
//
// That the abort alone is denied is no reason to store nothing: the bucket's lifecycle rule gets what stays.
func Probe(ctx context.Context, store objstore.Writer) error {
	if _, err := store.Stat(ctx, objstore.ProbeKey); err != nil && !errors.Is(err, objstore.ErrNotExist) {
		return err
	}
	upload, err := store.Create(ctx, objstore.ProbeKey, objstore.Options{ContentType: "application/octet-stream", Tags: map[string]string{"recording-id": "probe"}})
	if err != nil {
		return err
	}
	body := []byte("twinreel")
	err = upload.Part(ctx, 1, body, digest.CRC64(body))
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if abort := upload.Abort(tidy); err == nil && fault.ClassOf(abort) != fault.Denied {
		err = abort
	}
	return err
}
