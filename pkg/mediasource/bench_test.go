package mediasource_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/twinreel/twinreel/pkg/mediasource"
)

// The benchmarks read from a server in the same process, so that what they cost is both sides': compare, do not quote.
const (
	benchPart = 8 << 20
	benchSize = 64 << 20
)

func benchSource(threshold int64, o ...mediasource.Option) *mediasource.HTTP {
	c := config()
	c.MaxBytes, c.StallTimeout = 1<<30, 30*time.Second
	if c.RangeThreshold = 1 << 30; threshold > 0 {
		c.RangeThreshold = 1
	}
	return mediasource.NewHTTP(c, benchPart, o...)
}

// cpu returns the CPU seconds that this process has used.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// measure runs once for each iteration over size bytes, and reports CPU seconds per GiB as well.
func measure(b *testing.B, size int64, once func() error) {
	b.SetBytes(size)
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := once(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before)/(float64(b.N)*float64(size)/(1<<30)), "cpu-s/GiB")
}

// host serves body over plain HTTP/1, TLS, or HTTP/2.
func host(b *testing.B, how string, handle http.HandlerFunc) (*httptest.Server, []mediasource.Option) {
	o := httptest.NewUnstartedServer(handle)
	b.Cleanup(o.Close)
	if how == "http" {
		o.Start()
		return o, nil
	}
	o.EnableHTTP2 = how == "h2"
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	o.StartTLS()
	return o, []mediasource.Option{mediasource.RootCAs(pool(&origin{Server: o}))}
}

// BenchmarkRead reads a recording from one answer into a large buffer, as the copier does.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{16 << 10, 1 << 20, benchSize} {
		body := wav(size)
		for _, how := range []string{"http", "tls", "h2"} {
			b.Run(fmt.Sprintf("%s/%dKiB", how, size>>10), func(b *testing.B) {
				o, options := host(b, how, file(body, `"v1"`))
				s := benchSource(0, options...)
				defer s.Close()
				buf := make([]byte, min(size, benchPart))
				measure(b, int64(size), func() error { return readThrough(b.Context(), s, o.URL, int64(size), buf) })
			})
		}
	}
}

// readThrough reads a recording to its end.
func readThrough(ctx context.Context, s *mediasource.HTTP, url string, size int64, buf []byte) error {
	m, err := s.Open(ctx, mediasource.Request{URL: url + "/m/", Format: "wav", Size: size})
	if err != nil {
		return err
	}
	defer m.Close()
	for got := int64(0); got < size; {
		n, err := io.ReadFull(m, buf[:min(int64(len(buf)), size-got)])
		if err != nil {
			return err
		}
		got += int64(n)
	}
	if n, err := m.Read(buf[:1]); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end: %d bytes, %w", n, err)
	}
	return nil
}

// BenchmarkFill reads a recording by eight ranges, so many of them at once.
func BenchmarkFill(b *testing.B) {
	body := wav(benchSize)
	for _, how := range []string{"http", "tls", "h2"} {
		for _, atOnce := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/%d", how, atOnce), func(b *testing.B) {
				o, options := host(b, how, file(body, `"v1"`))
				s := benchSource(1, options...)
				defer s.Close()
				buf := make([]byte, benchSize)
				measure(b, benchSize, func() error { return fillThrough(b.Context(), s, o.URL, buf, atOnce) })
				if !bytes.Equal(buf, body) {
					b.Error("other bytes came")
				}
			})
		}
	}
}

// fillThrough reads a large recording, atOnce ranges side by side.
func fillThrough(ctx context.Context, s *mediasource.HTTP, url string, buf []byte, atOnce int) error {
	m, err := s.Open(ctx, mediasource.Request{URL: url + "/m/", Format: "wav", Size: int64(len(buf))})
	if err != nil {
		return err
	}
	defer m.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	g.Go(func() error {
		_, err := io.ReadFull(m, buf[:m.First()])
		return err
	})
	for off := m.First(); off < m.Size; off += benchPart {
		g.Go(func() error { return m.Fill(ctx, off, buf[off:min(off+benchPart, m.Size)]) })
	}
	return g.Wait()
}

// BenchmarkFirstPart opens a large recording and takes its first part: by a range where the size is known, and else from
// a whole answer that is given up after it. sent-MiB is what the server got rid of for it.
func BenchmarkFirstPart(b *testing.B) {
	body := wav(benchSize)
	for name, size := range map[string]int64{"range": benchSize, "given-up": -1} {
		b.Run(name, func(b *testing.B) {
			sent := make(chan int64, 1<<16)
			o, _ := host(b, "http", func(w http.ResponseWriter, r *http.Request) {
				c := &counter{ResponseWriter: w}
				file(body, `"v1"`)(c, r)
				sent <- c.n
			})
			s := benchSource(1)
			defer s.Close()
			buf := make([]byte, benchPart)
			var all int64
			measure(b, benchPart, func() error {
				m, err := s.Open(b.Context(), mediasource.Request{URL: o.URL + "/m/", Format: "wav", Size: size})
				if err != nil {
					return err
				}
				defer m.Close()
				if _, err := io.ReadFull(m, buf[:m.First()]); err != nil {
					return err
				}
				all += <-sent
				return nil
			})
			b.ReportMetric(float64(all)/float64(b.N)/(1<<20), "sent-MiB")
		})
	}
}

// counter counts what is written.
type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}
