// Package sizes parts a log into segments of few sizes: each next size is a multiple of the one before, and a segment of it
// is made when it is full, of those of the size below. What is derived from the leaves is kept in such segments.
package sizes

// Sizes are the sizes of segments, as powers of two: 2^First leaves, and 2^Step times as many each time, up to 2^Largest.
type Sizes struct{ First, Step, Largest int }

// segment is what a segment is called by: it holds the N-th 2^Bits leaves.
type segment interface {
	~struct {
		Bits int
		N    int64
	}
}

// Full returns the segments that become full with the leaf of index size-1, smallest first.
func Full[S segment](z Sizes, size int64) []S {
	var out []S
	for bits := z.First; bits <= z.Largest && size > 0 && size&(1<<bits-1) == 0; bits += z.Step {
		out = append(out, S{bits, size>>bits - 1})
	}
	return out
}

// Cover returns the fewest segments that a log of that size fills, oldest first, and the first leaf that is in none: fewer
// than 2^First are.
func Cover[S segment](z Sizes, size int64) (list []S, tail int64) {
	for bits := z.Largest; bits >= z.First; bits -= z.Step {
		for tail+1<<bits <= size {
			list = append(list, S{bits, tail >> bits})
			tail += 1 << bits
		}
	}
	return list, tail
}

// Sources returns the segments that the n-th of 2^bits leaves is made from, none for one of the smallest.
func Sources[S segment](z Sizes, bits int, n int64) []S {
	if bits == z.First {
		return nil
	}
	var out []S
	for i := range int64(1) << z.Step {
		out = append(out, S{bits - z.Step, n<<z.Step + i})
	}
	return out
}
