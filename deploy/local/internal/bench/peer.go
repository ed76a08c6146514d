package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/floor"
	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// peer is rclone, which many use to copy recordings from a link into a store: a daemon that is told link by link. It
// neither agrees on anything nor keeps a record.
const peer = "rclone"

// hasPeer reports whether it is installed.
func hasPeer() bool {
	_, err := exec.LookPath(peer)
	return err == nil
}

// peerCopies plays a load by rclone's daemon, as many recordings at once into each store as a worker has.
func peerCopies(ctx context.Context, b *bed, l load) (s Side, err error) {
	l = l.scaled(b.Scale)
	b.turns++
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	addr, err := stack.FreeAddr()
	if err != nil {
		return Side{}, err
	}
	path, err := exec.LookPath(peer)
	if err != nil {
		return Side{}, err
	}
	p, err := process.Start(process.Spec{
		Name: peer, Path: path, Args: []string{"rcd", "--rc-no-auth", "--rc-addr", addr, "--config", os.DevNull}, Dir: b.stack.Dir,
		// Nothing of the environment that this process happens to have.
		Env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + b.stack.Dir,
			"RCLONE_CONFIG_PRIMARY_TYPE=s3", "RCLONE_CONFIG_PRIMARY_PROVIDER=Other", "RCLONE_CONFIG_PRIMARY_ENDPOINT=" + w.S3.Endpoint,
			"RCLONE_CONFIG_PRIMARY_REGION=" + w.S3.Region, "RCLONE_CONFIG_PRIMARY_ACCESS_KEY_ID=" + w.S3.Root.Access, "RCLONE_CONFIG_PRIMARY_SECRET_ACCESS_KEY=" + w.S3.Root.Secret,
			"RCLONE_CONFIG_BACKUP_TYPE=azureblob",
			"RCLONE_CONFIG_BACKUP_SAS_URL=" + w.Azure.ServiceURL + "/" + w.Azure.Container + "?" + w.Azure.WriterSAS,
		},
		Log: filepath.Join(b.stack.Dir, peer+".log"),
	})
	if err != nil {
		return Side{}, err
	}
	defer func() { err = errors.Join(err, p.Kill()) }()
	rc := remote{url: "http://" + addr, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * floor.Concurrency}}}
	if err := p.Await(ctx, func(ctx context.Context) error { return rc.call(ctx, "rc/noop", nil) }); err != nil {
		return Side{}, err
	}
	links := b.links(l)
	m, err := b.measure(ctx, map[string][]int{peer: {p.PID()}})
	if err != nil {
		return Side{}, err
	}
	if err := rc.copy(ctx, links, "primary:"+w.S3.Bucket, "backup:"+w.Azure.Container); err != nil {
		return Side{}, fmt.Errorf("%w; its last lines:\n%s", err, process.Tail(p.Log()))
	}
	if s, err = m.end(ctx, l); err != nil {
		return Side{}, err
	}
	s.PeakMiB[peer] = peakMiB(p.PID())
	return s, nil
}

// remote is rclone's remote control.
type remote struct {
	url    string
	client *http.Client
}

// copy copies all links to all stores.
func (r remote) copy(ctx context.Context, links []string, stores ...string) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all sync.WaitGroup
	for _, store := range stores {
		work := make(chan int)
		all.Go(func() {
			defer close(work)
			for i := range links {
				work <- i
			}
		})
		for range floor.Concurrency {
			all.Go(func() {
				for i := range work {
					err := r.call(ctx, "operations/copyurl", map[string]any{"fs": store, "remote": fmt.Sprintf("recordings/peer-%d.wav", i), "url": links[i]})
					if err != nil {
						fail(err)
					}
				}
			})
		}
	}
	all.Wait()
	return context.Cause(ctx)
}

func (r remote) call(ctx context.Context, what string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("rclone's %s answered %s: %.300s", what, resp.Status, answer)
	}
	return err
}
