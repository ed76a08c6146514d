package memledger

import (
	"context"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
)

// lease is a claim in memory; its address is the token.
type lease struct {
	ledger *Ledger
	place  place
	upload string // the last one opened; guarded by the ledger's lock
}

// ours reports whether the claim is this lease's. The ledger is locked.
func (l *lease) ours() bool {
	there := l.ledger.claims[l.place]
	return there.holder == l && l.ledger.now().Before(there.until)
}

// hold locks the ledger and makes sure that the lease is ours.
func (l *lease) hold(ctx context.Context, op string) (leave func(), err error) {
	leave, err = l.ledger.enter(ctx, op+l.place.id)
	if err != nil {
		return nil, err
	}
	if !l.ours() {
		leave()
		return nil, fault.New(fault.Transient, fault.Ledger, op+l.place.id, ledger.ErrLost)
	}
	return leave, nil
}

// Renew implements ledger.Lease.
func (l *lease) Renew(ctx context.Context) error {
	leave, err := l.hold(ctx, "renew the claim of ")
	if err != nil {
		return err
	}
	defer leave()
	l.ledger.claims[l.place] = claim{holder: l, until: l.ledger.now().Add(ledger.LeaseTime)}
	return nil
}

// Opened implements ledger.Lease.
func (l *lease) Opened(ctx context.Context, uploadID string) error {
	l.ledger.mu.Lock()
	l.upload = uploadID
	l.ledger.mu.Unlock()
	leave, err := l.hold(ctx, "note the upload of ")
	if err != nil {
		return err
	}
	defer leave()
	l.ledger.uploads[l.place] = uploadID
	return nil
}

// Finish implements ledger.Lease.
func (l *lease) Finish(ctx context.Context, c ledger.Copy) (ledger.Record, error) {
	leave, err := l.hold(ctx, "finish the claim of ")
	if err != nil {
		return ledger.Record{}, err
	}
	defer leave()
	l.ledger.claims[l.place] = claim{}
	delete(l.ledger.uploads, l.place)
	return l.ledger.put(l.place, c), nil
}

// Release implements ledger.Lease.
func (l *lease) Release(ctx context.Context, closed bool) error {
	leave, err := l.ledger.enter(ctx, "release the claim of "+l.place.id)
	if err != nil {
		return err
	}
	defer leave()
	if closed && l.upload != "" && l.ledger.uploads[l.place] == l.upload {
		delete(l.ledger.uploads, l.place)
	}
	if !l.ours() {
		return nil
	}
	delete(l.ledger.claims, l.place)
	switch {
	case closed:
		delete(l.ledger.uploads, l.place)
	case l.upload != "":
		l.ledger.uploads[l.place] = l.upload
	}
	return nil
}
