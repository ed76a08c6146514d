package s3store

import (
	"io"
	"strconv"

	"github.com/twinreel/twinreel/pkg/digest"
)

// chunkSize is the size in bytes of all chunks but the last. The protocol asks for 8 KiB at least.
const chunkSize = 128 << 10

// checksumTrailer is the header that comes after the body.
const checksumTrailer = "x-amz-checksum-crc64nvme"

const crlf = "\r\n"

// chunked reads a body in the encoding aws-chunked (Amazon S3 API Reference, "Transferring payload with trailing
// headers"): chunks with their length before them, as their bytes come from the writer's side; then, as it is, what the
// writer sends as the ending.
type chunked struct {
	from  io.Reader
	left  int64  // bytes of the object that are yet to come
	chunk int64  // bytes of the chunk at hand that are yet to come
	frame []byte // what comes before them
}

// Read implements io.Reader. A chunk's length, its bytes as far as they are there, and its end come in one piece.
func (c *chunked) Read(p []byte) (n int, err error) {
	if c.left > 0 && c.chunk == 0 {
		c.chunk = min(c.left, chunkSize)
		c.frame = append(c.frame, strconv.FormatInt(c.chunk, 16)+crlf...)
	}
	n = copy(p, c.frame)
	if c.frame = c.frame[n:]; n == len(p) {
		return n, nil
	}
	if c.chunk == 0 {
		if n > 0 {
			return n, nil
		}
		return c.from.Read(p)
	}
	got, err := c.from.Read(p[n:min(int64(len(p)), int64(n)+c.chunk)])
	c.left, c.chunk, n = c.left-int64(got), c.chunk-int64(got), n+got
	if c.chunk == 0 {
		c.frame = append(c.frame, crlf...)
		end := copy(p[n:], c.frame)
		c.frame, n = c.frame[end:], n+end
	}
	return n, err
}

// ending is what follows the last chunk.
func ending(crc uint64) string {
	return "0" + crlf + checksumTrailer + ":" + digest.EncodeCRC64(crc) + crlf + crlf
}

// encodedLength is the length of the whole body for an object of size bytes.
func encodedLength(size int64) int64 {
	frame := func(n int64) int64 { return int64(len(strconv.FormatInt(n, 16))) + 2*int64(len(crlf)) }
	full, rest := size/chunkSize, size%chunkSize
	length := full*(chunkSize+frame(chunkSize)) + int64(len(ending(0)))
	if rest > 0 {
		length += rest + frame(rest)
	}
	return length
}
