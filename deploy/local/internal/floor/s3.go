package floor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// trailer is the header that carries the checksum after the body.
const trailer = "x-amz-checksum-crc64nvme"

// s3 creates an object by one streamed PUT, whose checksum follows the bytes.
func (f *floor) s3(ctx context.Context, name string, m *media) error {
	const payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	r, w := io.Pipe()
	go func() { w.CloseWithError(f.chunks(w, m)) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, f.Objects+"/"+name, r)
	if err != nil {
		return err
	}
	req.ContentLength = encodedLength(f.Size)
	for key, value := range map[string]string{
		"If-None-Match": "*", "Content-Type": "audio/wav", "Content-Encoding": "aws-chunked", "X-Amz-Trailer": trailer,
		"X-Amz-Decoded-Content-Length": strconv.FormatInt(f.Size, 10), "X-Amz-Content-Sha256": payload,
	} {
		req.Header.Set(key, value)
	}
	keys := aws.Credentials{AccessKeyID: f.AccessKey, SecretAccessKey: f.SecretKey}
	err = v4.NewSigner().SignHTTP(ctx, keys, req, payload, "s3", f.Region, time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return err
	}
	return f.send(req)
}

// chunks writes the media in the encoding aws-chunked. Each chunk, its frame included, is written in one piece.
func (f *floor) chunks(w io.Writer, m *media) error {
	const room = 16 // for a chunk's length before it, and the line's end after it
	buf, _ := f.small.Get().(*[piece]byte)
	defer f.small.Put(buf)
	p := buf[:]
	size := chunk()
	for {
		n, err := m.read(p[room : room+size])
		if n > 0 {
			head := strconv.AppendInt(nil, int64(n), 16)
			head = append(head, '\r', '\n')
			start := room - len(head)
			copy(p[start:], head)
			copy(p[room+n:], "\r\n")
			if _, err := w.Write(p[start : room+n+2]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "0\r\n%s:%s\r\n\r\n", trailer, bigEndian(m.crc))
	return err
}

// chunk is the size of all chunks but the last: with its frame it fills a piece.
func chunk() int { return piece - 32 }

// encodedLength is the length of the body of an object of size bytes.
func encodedLength(size int64) int64 {
	frame := func(n int64) int64 { return n + int64(len(strconv.FormatInt(n, 16))) + 4 }
	c := int64(chunk())
	length := size/c*frame(c) + int64(len("0\r\n"+trailer+":")+12+4)
	if rest := size % c; rest > 0 {
		length += frame(rest)
	}
	return length
}
