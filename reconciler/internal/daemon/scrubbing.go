package daemon

import (
	"context"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
	"github.com/twinreel/twinreel/reconciler/internal/scrub"
)

// boardLook is how long the tiers' board may take to answer.
const boardLook = 5 * time.Second

// scrub reads back what the stores hold, until ctx ends.
func (p *parts) scrub(ctx context.Context) {
	book, err := await(ctx, func() (*quarantine.Book, error) { return quarantine.Open(ctx, p.js) })
	if err != nil {
		return // told to stop while it waited
	}
	board := queue.NewBoard(p.nc, p.js)
	s := &scrub.Scrubber{
		Stores: p.stores, Period: p.config.Scrub.Period, Budget: int64(p.config.Scrub.Budget), Note: book, Audit: p.publisher,
		Last: scrub.LastRun(p.js), Weight: weights(board), Waits: scrub.Waits(), Metrics: p.scrubbed, Log: p.Log,
	}
	s.Run(ctx)
}

// weights tells a tier's weight as it stands on the board, 1 where the board does not answer.
func weights(board *queue.Board) func(context.Context, tier.Tier) float64 {
	return func(ctx context.Context, t tier.Tier) float64 {
		ctx, cancel := context.WithTimeout(ctx, boardLook)
		defer cancel()
		s, err := board.Read(ctx)
		if err != nil {
			return 1
		}
		return s[t].Weight()
	}
}
