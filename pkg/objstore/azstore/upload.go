package azstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// blockTries is how often a block is sent when its connection breaks.
const blockTries = 2

// nonceSize is the random part of a block's ID, in bytes.
const nonceSize = 16

// upload is a blob put together from blocks. The service knows nothing of uploads: blocks of all attempts at a key lie
// side by side, told apart by random IDs (two attempts that shared them would be spliced silently).
type upload struct {
	store   *Store
	key     string
	options objstore.Options

	mu     sync.Mutex
	blocks map[int]block
}

// block is a block that the service has, and has checked.
type block struct {
	id   string
	size int64
	crc  uint64
}

// Create implements objstore.Writer. It asks the service nothing.
func (s *Store) Create(ctx context.Context, key string, o objstore.Options) (objstore.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, s.fail("open an upload of "+key, err)
	}
	return &upload{store: s, key: key, options: o, blocks: map[int]block{}}, nil
}

// ID implements objstore.Upload: blocks lapse by themselves.
func (u *upload) ID() string { return "" }

// Part implements objstore.Upload. The service checks the block's CRC-64/NVME before it keeps it.
func (u *upload) Part(ctx context.Context, n int, p []byte, crc uint64) error {
	op := fmt.Sprintf("send part %d of %s", n, u.key)
	if n < 1 || n > objstore.MaxParts {
		return objstore.Refuse(fault.Permanent, op, "parts are numbered from 1 to %d", objstore.MaxParts)
	}
	// Another ID each time: of a part that is sent again the list names the last, whichever arrives last.
	id := blockID(n)
	if u.key == objstore.ProbeKey {
		// Blocks lapse a week after the last of their blob, and there can be 100,000: probes would add up to that.
		id = base64.StdEncoding.EncodeToString(make([]byte, nonceSize+4))
	}
	if err := u.send(ctx, id, p, crc); err != nil {
		return u.store.fail(op, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.blocks[n] = block{id, int64(len(p)), crc}
	return nil
}

// blockID returns a new ID for part n: all of one length, as the service demands.
func blockID(n int) string {
	var id [nonceSize + 4]byte
	_, _ = rand.Read(id[:nonceSize]) // never fails
	binary.BigEndian.PutUint32(id[nonceSize:], uint32(n))
	return base64.StdEncoding.EncodeToString(id[:])
}

// send sends a block, and once more when there was no answer: a connection that the service closed while it lay idle must
// not cost a large recording.
func (u *upload) send(ctx context.Context, id string, p []byte, crc uint64) (err error) {
	client := u.store.client.NewBlockBlobClient(u.key)
	for range blockTries {
		_, err = client.StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(p)), &blockblob.StageBlockOptions{
			TransactionalValidation: blob.TransferValidationTypeCRC64(crc), CPKScopeInfo: u.store.config.scope(),
		})
		if _, answer := answered(err); err == nil || answer || ctx.Err() != nil || objstore.NeverSent(err) {
			break
		}
	}
	return err
}

// Commit implements objstore.Upload. The service cannot check a whole that is made of blocks, and its answer names no
// checksum of it. But it has checked every block, the list names just these in this order, and their checksums combine to
// the whole's: so where they do, an accepted list proves the bytes, and where they do not, nothing is committed.
func (u *upload) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (objstore.Info, error) {
	op := "commit " + u.key
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, u.store.fail(op, err)
	}
	ids, err := u.complete(op, d)
	if err != nil {
		return objstore.Info{}, err
	}
	until, mode := u.store.config.immutable(u.store.now())
	out, err := u.store.client.NewBlockBlobClient(u.key).CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{
		AccessConditions: absentOnly(),
		Tags:             tags, Metadata: metadata(d), HTTPHeaders: headers(u.options.ContentType),
		Tier: u.store.config.tier(), CPKScopeInfo: u.store.config.scope(),
		ImmutabilityPolicyExpiryTime: until, ImmutabilityPolicyMode: mode,
	})
	if err != nil {
		return objstore.Info{}, u.store.unsure(op, err)
	}
	return created(u.key, d, u.options.ContentType, out.ETag, out.VersionID, out.LastModified), nil
}

// complete returns the blocks' IDs in order, having checked that none is missing and that together they are d's bytes.
func (u *upload) complete(op string, d digest.Digest) ([]string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	numbers := slices.Sorted(maps.Keys(u.blocks))
	if len(numbers) == 0 {
		return nil, objstore.Refuse(fault.Permanent, op, "no part was sent")
	}
	var size int64
	var crc uint64
	ids := make([]string, len(numbers))
	for i, n := range numbers {
		if n != i+1 {
			return nil, objstore.Refuse(fault.Permanent, op, "part %d was never sent", i+1)
		}
		b := u.blocks[n]
		ids[i], size, crc = b.id, size+b.size, digest.Combine(crc, b.crc, b.size)
	}
	if size != d.Size || crc != d.CRC64 {
		return nil, objstore.Refuse(fault.Corrupt, op, "the parts, of %d bytes, are not those of the digest, of %d", size, d.Size)
	}
	return ids, nil
}

// Abort implements objstore.Upload: blocks lapse by themselves.
func (u *upload) Abort(context.Context) error { return nil }
