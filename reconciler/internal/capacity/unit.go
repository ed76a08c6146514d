package capacity

import (
	"fmt"
	"math"
	"strconv"
)

// Unit is what an amount is of.
type Unit string

// The units.
const (
	Count         Unit = "count"
	Share         Unit = "share" // of a whole
	Bytes         Unit = "bytes"
	Seconds       Unit = "seconds"
	PerSecond     Unit = "per second"
	BitsPerSecond Unit = "bits per second"
)

// Text writes an amount for people.
func (u Unit) Text(v float64) string {
	switch u {
	case Bytes:
		return scaled(v, 1<<10, "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
	case BitsPerSecond:
		return scaled(v, 1000, "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")
	case Seconds:
		return span(v)
	case PerSecond:
		return short(v) + "/s"
	case Share:
		return short(v*100) + " %"
	}
	return short(v)
}

// scaled writes v in the largest unit of which it is at least one.
func scaled(v, step float64, units ...string) string {
	i := 0
	for ; v >= step && i < len(units)-1; i++ {
		v /= step
	}
	return short(v) + " " + units[i]
}

// span writes seconds in the unit that people would.
func span(v float64) string {
	switch {
	case v < 120:
		return short(v) + " s"
	case v < 2*3600:
		return short(v/60) + " min"
	case v < 48*3600:
		return short(v/3600) + " h"
	}
	return short(v/86400) + " days"
}

// short writes a number with three digits that count, and its thousands apart.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return Grouped(int64(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a == math.Trunc(a):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 1, 64)
}

// Grouped writes a whole number with its thousands apart.
func Grouped(n int64) string {
	if n < 0 {
		return "-" + Grouped(-n)
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", Grouped(n/1000), n%1000)
}
