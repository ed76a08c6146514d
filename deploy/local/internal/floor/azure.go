package floor

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/pkg/digest"
)

// block is the size of the blocks of a large blob, and up to which a blob goes in one request.
const block = 8 << 20

// blocksInFlight is how many blocks of one recording are on their way while the next is read.
const blocksInFlight = 2

// azure creates a blob: in one request up to one block, else from blocks that are sent while the next is read.
func (f *floor) azure(ctx context.Context, name string, m *media) error {
	if f.Size <= block {
		buf, _ := f.large.Get().(*[block]byte)
		defer f.large.Put(buf)
		n, err := m.read(buf[:f.Size])
		if int64(n) != f.Size {
			return errors.Join(errors.New("the media ended early"), err)
		}
		return f.put(ctx, name, "", buf[:n], m.crc, map[string]string{
			"If-None-Match": "*", "x-ms-blob-type": "BlockBlob", "x-ms-meta-crc64nvme": bigEndian(m.crc), "Content-Type": "audio/wav",
		})
	}
	ids, err := f.blocks(ctx, name, m)
	if err != nil {
		return err
	}
	list := "<BlockList><Latest>" + strings.Join(ids, "</Latest><Latest>") + "</Latest></BlockList>"
	return f.put(ctx, name, "comp=blocklist&", []byte(list), 0, map[string]string{"If-None-Match": "*", "x-ms-meta-crc64nvme": bigEndian(m.crc)})
}

// blocks sends the media block by block and returns the blocks' IDs. The whole's checksum goes on over all of them; each
// block's own is what the service checks.
func (f *floor) blocks(ctx context.Context, name string, m *media) (ids []string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(blocksInFlight)
	for read := int64(0); read < f.Size; {
		buf, _ := f.large.Get().(*[block]byte)
		part := &media{body: m.body, sha: m.sha}
		n, err := part.read(buf[:min(block, f.Size-read)])
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return nil, errors.Join(errors.New("the media ended early"), err, g.Wait())
		}
		read += int64(n)
		m.crc = digest.Combine(m.crc, part.crc, int64(n))
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", len(ids)))
		ids = append(ids, id)
		g.Go(func() error {
			defer f.large.Put(buf)
			return f.put(ctx, name, "comp=block&blockid="+strings.ReplaceAll(id, "=", "%3D")+"&", buf[:n], part.crc, nil)
		})
	}
	return ids, g.Wait()
}

// put sends one request with a body that has been hashed (crc 0: it has not).
func (f *floor) put(ctx context.Context, name, query string, body []byte, crc uint64, headers map[string]string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, f.Objects+"/"+name+"?"+query+f.SAS, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("x-ms-version", "2025-07-05")
	if crc != 0 {
		req.Header.Set("x-ms-content-crc64", littleEndian(crc))
	}
	for key, value := range headers {
		req.Header.Set(key, value)
	}
	return f.send(req)
}
