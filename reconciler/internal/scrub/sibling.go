package scrub

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// compare reads the sibling's copy as well, and puts into words which is good. An error says that ctx has ended.
func (s *Scrubber) compare(ctx context.Context, l *lane, r reading, f *finding) error {
	o := s.lanes[l.tier.Sibling()]
	other := sibling{tier: o.tier}
	named, err := s.sidecar(ctx, o, f.key, briefly)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		other.sidecar = "its sidecar cannot be read"
	case named == nil:
		other.sidecar = "it has no sidecar"
	default:
		other.named = &named.Digest
	}
	size := f.named.Size
	if other.named != nil {
		size = max(size, other.named.Size)
	}
	got, err := s.read(ctx, reading{o, r.key, size, briefly, s.budget.WaitN, r.buffer})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, objstore.ErrNotExist):
		other.copy = "no copy"
	case err != nil:
		other.copy = "a copy that cannot be read"
	default:
		other.got = &got
	}
	f.tier, f.evidence = l.tier, evidence(l.tier, *f, other)
	return nil
}

// sibling is what the other tier holds.
type sibling struct {
	tier          tier.Tier
	named, got    *digest.Digest // by its sidecar, and by its bytes; nil where the words below say why
	sidecar, copy string
}

// evidence puts a finding into words, the same as long as the same is found.
func evidence(t tier.Tier, f finding, o sibling) string {
	read := words(f.got, f.named)
	if f.got.Size > f.named.Size {
		read = fmt.Sprintf("%d bytes, whose first %d have sha256 %s", f.info.Size, f.got.Size, f.got.SHA256)
	}
	out := []string{fmt.Sprintf("read twice: %s; its sidecar names %s", read, words(f.named, f.got))}
	switch {
	case o.named == nil:
		out = append(out, o.tier.String()+": "+o.sidecar)
	case *o.named != f.named:
		out = append(out, "the sidecars differ: this copy agrees with "+agreeing(f.got, t, f.named, o)+", so neither sidecar is proof")
	}
	switch {
	case o.got == nil:
		out = append(out, fmt.Sprintf("%s has %s: no good copy is known", o.tier, o.copy))
	case o.named != nil && *o.named != f.named:
		out = append(out, fmt.Sprintf("%s's copy agrees with %s", o.tier, agreeing(*o.got, t, f.named, o)))
	case *o.got == f.named:
		out = append(out, fmt.Sprintf("%s's copy is good, it agrees with %s", o.tier, agreeing(*o.got, t, f.named, o)))
	case *o.got == f.got:
		out = append(out, o.tier.String()+"'s copy has the same bytes: no good copy is known")
	default:
		out = append(out, fmt.Sprintf("%s's copy differs, too (sha256 %s): no good copy is known", o.tier, o.got.SHA256))
	}
	return strings.Join(out, "; ")
}

// agreeing names the sidecars that name a copy's digest.
func agreeing(got digest.Digest, t tier.Tier, named digest.Digest, o sibling) string {
	own, others := got == named, o.named != nil && got == *o.named
	switch {
	case own && others:
		return "both sidecars"
	case own && o.named == nil:
		return t.String() + "'s sidecar"
	case own:
		return t.String() + "'s alone"
	case others:
		return o.tier.String() + "'s alone"
	}
	return "neither"
}

// words names a digest, by what tells it from the other.
func words(d, other digest.Digest) string {
	out := fmt.Sprintf("%d bytes of sha256 %s", d.Size, d.SHA256)
	if d.SHA256 == other.SHA256 {
		out += ", crc64nvme " + digest.EncodeCRC64(d.CRC64)
	}
	return out
}
