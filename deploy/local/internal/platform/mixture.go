package platform

import (
	"math"
	"math/rand/v2"
)

// Mixture adds n recordings from 1 KiB to largest bytes: the more, the smaller. bend makes small ones more frequent; 1
// spreads the sizes evenly over the orders of magnitude. It returns their bytes together.
func (p *Platform) Mixture(n int, largest, bend float64, seed uint64) (recordings []*Recording, total int64, err error) {
	r := rand.New(rand.NewPCG(seed, 7))
	formats := []string{"wav", "wav", "wav", "mp3", "ogg", "m4a"}
	for i, place := range r.Perm(n) {
		size := int64(1024 * math.Pow(largest/1024, math.Pow(float64(place)/float64(max(1, n-1)), bend)))
		rec, err := p.Add(Spec{Size: size, Format: formats[i%len(formats)], SendSize: i%2 == 0, SendSHA256: i%5 == 0})
		if err != nil {
			return nil, 0, err
		}
		recordings, total = append(recordings, rec), total+size
	}
	return recordings, total, nil
}
