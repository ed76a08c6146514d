package story

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// smallest is the size of the smallest recording, in bytes.
const smallest = 200_000

// Sizes are the sizes of n recordings from 200 KB to the largest, many short calls and few long ones: 60 of them, up to
// 300 MB, come to 1.4 GB. Equal seeds give equal orders.
func Sizes(n int, largest int64, seed uint64) []int64 {
	sizes := make([]int64, n)
	for i := range sizes {
		// The power makes short ones frequent; the odd bytes make no size a multiple of anything.
		u := math.Pow(float64(i)/float64(max(1, n-1)), 2.2)
		sizes[i] = min(largest, int64(smallest*math.Pow(float64(largest)/smallest, u))+int64(i*37%101))
	}
	r := rand.New(rand.NewPCG(seed, 60))
	r.Shuffle(n, func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	return sizes
}

// cast adds the sound recordings to the platform. Some of their webhooks name size and hash, as some platforms do.
func cast(p *platform.Platform, cfg Config) ([]*platform.Recording, error) {
	var all []*platform.Recording
	for i, size := range Sizes(cfg.Recordings, cfg.Largest, cfg.Seed) {
		rec, err := p.Add(platform.Spec{
			ID: fmt.Sprintf("call-%03d", i+1), Size: size, SendSize: i%3 != 0, SendSHA256: i%5 == 0 && size < 10_000_000,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, rec)
	}
	return all, nil
}

// DeadLink adds a recording whose media the platform has withdrawn before anybody read them.
func DeadLink(p *platform.Platform) (*platform.Recording, error) {
	return p.Add(platform.Spec{ID: "call-withdrawn", Size: 1_000_000, Faults: platform.Faults{Status: 410}})
}

// DemoPlatform is a platform that retries sooner than a real one, so that nobody has to wait.
func DemoPlatform() platform.Config {
	return platform.Config{Seed: 3, Retries: 3, RetryDelay: time.Second}
}
