package digest

// polynomial is that of CRC-64/NVME, bit-reversed: the highest bit stands for x to the power of 0.
const polynomial = 0x9a6c9329ac4bc9b5

// Powers of x as remainders.
const (
	one    = uint64(1) << 63
	oneBit = uint64(1) << 62
)

// Combine returns the CRC-64/NVME of two pieces of bytes, one after the other, from the first's checksum, the second's,
// and the second's size in bytes. The first's is moved on by as many bits as follow it, which is a multiplication by that
// power of x; what the checksum inverts at its ends cancels out.
func Combine(first, second uint64, size int64) uint64 {
	power, square := one, oneBit
	for bits := uint64(size) << 3; bits != 0; bits >>= 1 {
		if bits&1 != 0 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return multiply(power, first) ^ second
}

// multiply returns a·b modulo the polynomial.
func multiply(a, b uint64) (product uint64) {
	for bit := one; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ polynomial
		} else {
			b >>= 1
		}
	}
	return product
}
