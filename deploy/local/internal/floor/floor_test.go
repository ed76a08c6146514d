package floor

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
)

func TestAStreamedBodyIsWhatWasAnnounced(t *testing.T) {
	for _, size := range []int{1, 1000, chunk() - 1, chunk(), chunk() + 1, 3*chunk() + 5} {
		body := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		f := &floor{Job: Job{Size: int64(size)}}
		f.small.New = func() any { return new([piece]byte) }
		var out bytes.Buffer
		if err := f.chunks(&out, &media{body: bytes.NewReader(body), sha: sha256.New()}); err != nil {
			t.Fatal(err)
		}
		if int64(out.Len()) != encodedLength(int64(size)) {
			t.Errorf("%d bytes: %d encoded, %d announced", size, out.Len(), encodedLength(int64(size)))
		}
		if end := bigEndian(digest.CRC64(body)) + "\r\n\r\n"; !strings.HasSuffix(out.String(), end) {
			t.Errorf("%d bytes: the trailer is not the checksum", size)
		}
		back, err := io.ReadAll(httputil.NewChunkedReader(&out))
		if err != nil || !bytes.Equal(back, body) {
			t.Errorf("%d bytes: %d read back, %v", size, len(back), err)
		}
	}
}
