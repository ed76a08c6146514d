package s3store

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAChunkedBodyHasTheLengthThatWasAnnouncedAndReadsBack(t *testing.T) {
	for _, size := range []int{1, 15, 16, 17, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 4097} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for name, slow := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader} {
			from := io.MultiReader(slow(bytes.NewReader(body)), strings.NewReader(ending(7)))
			got, err := io.ReadAll(&chunked{from: from, left: int64(size)})
			if err != nil || int64(len(got)) != encodedLength(int64(size)) {
				t.Fatalf("%d bytes, %s: %d encoded, want %d (%v)", size, name, len(got), encodedLength(int64(size)), err)
			}
			// The chunks are those of HTTP's own encoding.
			back, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(got)))
			if err != nil || !bytes.Equal(back, body) {
				t.Errorf("%d bytes, %s: %d read back (%v)", size, name, len(back), err)
			}
			if !bytes.HasSuffix(got, []byte("\r\n0\r\nx-amz-checksum-crc64nvme:AAAAAAAAAAc=\r\n\r\n")) {
				t.Errorf("%d bytes, %s: it ends in %q", size, name, got[max(0, len(got)-60):])
			}
		}
	}
}

func TestAChunkedBodyDoesNotCareHowItIsRead(t *testing.T) {
	body := bytes.Repeat([]byte("x"), chunkSize+3)
	for _, n := range []int{1, 2, 5, 8, 4096, chunkSize, 2 * chunkSize} {
		from := io.MultiReader(bytes.NewReader(body), strings.NewReader(ending(7)))
		c, p, total := &chunked{from: from, left: int64(len(body))}, make([]byte, n), int64(0)
		for {
			m, err := c.Read(p)
			total += int64(m)
			if err != nil {
				break
			}
		}
		if total != encodedLength(int64(len(body))) {
			t.Errorf("read by %d: %d bytes, want %d", n, total, encodedLength(int64(len(body))))
		}
	}
}
