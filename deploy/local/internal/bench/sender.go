package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/floor"
)

// sender sends webhooks, so many at a time, over connections that it keeps.
type sender struct {
	url, prefix string
	inFlight    int
	every       time.Duration // from one's start to the next's; 0: as soon as there is room
	client      *http.Client
	sent        atomic.Int64
}

// send sends n webhooks of as many recordings and returns how long each took. Any answer but 200 is an error.
func (l *sender) send(ctx context.Context, n int) (took []time.Duration, err error) {
	if l.client == nil {
		l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.inFlight, MaxConnsPerHost: l.inFlight}}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	var all sync.WaitGroup
	turn := make(chan struct{})
	for range l.inFlight {
		all.Go(func() {
			for range turn {
				started := time.Now()
				if err := l.one(ctx); err != nil {
					fail(err)
					continue
				}
				mu.Lock()
				took = append(took, time.Since(started))
				mu.Unlock()
			}
		})
	}
	next := time.Now()
	for i := 0; i < n && ctx.Err() == nil; i++ {
		if l.every > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(l.every)
		}
		turn <- struct{}{}
	}
	close(turn)
	all.Wait()
	return took, context.Cause(ctx)
}

func (l *sender) one(ctx context.Context) error {
	id := fmt.Sprintf("%s-%d", l.prefix, l.sent.Add(1))
	body, err := json.Marshal(map[string]any{
		"event": "RECORDING_COMPLETED", "eventId": id, "recordingId": id, "mediaFormat": "mp4", "duration": 183.4,
		"participants": []map[string]string{{"id": "agent-17", "role": "agent", "name": "A. Example"}, {"id": "caller-4", "role": "customer"}},
		"mediaUrl":     "https://media.example.com/recordings/" + id + ".mp4?signature=8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918",
		"size":         20971520, "tags": map[string]string{"queue": "billing", "site": "north"}, "completedAt": "2026-11-23T10:00:00Z",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", floor.Sign(webhookSecret, body))
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("a webhook was answered %s: %.200s", resp.Status, answer)
	}
	return err
}

// percentiles are the middle and the slowest hundredth, in milliseconds.
func percentiles(took []time.Duration) map[string]float64 {
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	return map[string]float64{"p50": at(0.50), "p99": at(0.99)}
}
