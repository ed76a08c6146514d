package route

import (
	"math/rand/v2"
	"testing"

	"github.com/twinreel/twinreel/pkg/tier"
)

func BenchmarkRoute(b *testing.B) {
	size := bytesOf(1 << 30)
	for _, c := range []struct {
		name            string
		limit           Config
		primary, backup tier.Standing
	}{
		{"well", plenty, views(well), views(well)},
		{"drawn", plenty, views(well, slow), views(well, slow)},
		{"over the limit", Config{RequestLimit: 1, LimitShare: 1e-9}, views(well), views(well)},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := newFixture(b, c.limit)
			f.Draw = rand.Float64
			f.board.say(c.primary, c.backup)
			f.look()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f.Route(size)
				}
			})
		})
	}
}

func TestARouteCostsNoMemory(t *testing.T) {
	f := newFixture(t, plenty)
	f.board.say(views(well, slow), views(well, slow))
	f.look()
	size := bytesOf(1 << 30)
	if n := testing.AllocsPerRun(1000, func() { f.Route(size) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
