package bench

import "context"

// scale plays a load with one worker a tier, or with n.
func scale(n int) func(ctx context.Context, b *bed, side int) (Side, error) {
	return func(ctx context.Context, b *bed, side int) (Side, error) {
		w, err := b.stack.NewWorld(ctx)
		if err != nil {
			return Side{}, err
		}
		b.turns++
		return b.product(ctx, w, load{64 * kib, 1500}.scaled(b.Scale), [2]int{1, n}[side])
	}
}

// memory plays loads of few large recordings.
func memory(ctx context.Context, b *bed, side int) (Side, error) {
	w, err := b.stack.NewWorld(ctx)
	if err != nil {
		return Side{}, err
	}
	b.turns++
	return b.product(ctx, w, [2]load{{600 * mib, 4}, {5 * gib, 2}}[side], 1)
}
