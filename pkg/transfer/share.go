package transfer

import "context"

// Bounds of what recordings in parts may take. An eighth of all memory is left to those that fit one buffer, however many
// large ones there are; each large one may always read one part while another is on its way.
const (
	sharedNumerator, sharedDenominator = 7, 8
	minShare                           = 2
)

// Share is one large recording's claim on buffers: as many as are its fair part among all large recordings that are on
// their way, so that alone it may fill a long and fast line, and many do not starve each other.
type Share struct {
	from *Buffers
	held int           // under the Buffers' lock
	wake chan struct{} // told when the share may have grown
}

// Join begins a share. It ends with Leave.
func (b *Buffers) Join() *Share {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &Share{from: b, wake: make(chan struct{}, 1)}
	b.shares[s] = struct{}{}
	return s
}

// Leave ends the share. Its buffers may come back later.
func (s *Share) Leave() {
	b := s.from
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shares, s)
	for other := range b.shares {
		other.look()
	}
}

// Get returns a buffer of one part, once the share and the memory allow it. It fails only when ctx ends. Calls of one
// share must not overlap.
func (s *Share) Get(ctx context.Context) (*Buffer, error) {
	for !s.grow() {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	buf, err := s.from.Get(ctx, s.from.part)
	if err != nil {
		s.from.mu.Lock()
		defer s.from.mu.Unlock()
		s.held--
		return nil, err
	}
	buf.share = s
	return buf, nil
}

// grow takes one more buffer into the share, if it is allowed now.
func (s *Share) grow() bool {
	b := s.from
	b.mu.Lock()
	defer b.mu.Unlock()
	fair := int(b.limit*sharedNumerator/sharedDenominator) / b.part / len(b.shares)
	if s.held >= max(fair, minShare) {
		return false
	}
	s.held++
	return true
}

// look wakes whoever waits for the share. The lock is held.
func (s *Share) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
