package bench

import (
	"math"
	"testing"
)

// pair is a pair of turns in which the second side has this ratio to the first, and uses twice its CPU time.
func pair(ratio float64) [2]Side {
	return [2]Side{
		{Seconds: 1, Done: 100, CPU: map[string]float64{"primary": 1}, Millis: map[string]float64{"p99": 10}, PeakMiB: map[string]float64{"primary": 40}},
		{
			Seconds: 1, Done: 100 * ratio, CPU: map[string]float64{"primary": 1, "backup": 1}, Millis: map[string]float64{"p99": 12},
			PeakMiB: map[string]float64{"primary": 50, "backup": 60}, Requests: map[string]float64{"s3": 2}, Busy: map[string]float64{"azurite": 0.95},
		},
	}
}

func TestFiguresAreMediansOfThePairs(t *testing.T) {
	r := Result{Pairs: [][2]Side{pair(0.5), pair(0.9), pair(0.8)}}
	r.judge([]Bar{{Figure: "ratio", AtLeast: 0.8}, {Figure: "cpu ratio", AtMost: 1.15}, {Figure: "never measured", AtLeast: 0}})
	for figure, want := range map[string]float64{
		"ratio": 0.8, "low": 0.5, "high": 0.9, "cpu ratio": 2, "p99 ratio": 1.2, "peak MiB": 60, "more MiB": 20, "s3": 2,
	} {
		if got := r.Figures[figure]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", figure, got, want)
		}
	}
	for i, want := range []bool{true, false, false} {
		if r.Verdicts[i].OK != want {
			t.Errorf("%s", r.Verdicts[i])
		}
	}
	if r.Remark == "" || r.Remark[:7] != "Azurite" {
		t.Errorf("a busy Azurite is not named: %q", r.Remark)
	}
}

func TestThePeerMustBeBeaten(t *testing.T) {
	for rate, want := range map[float64]bool{50: true, 95: false} {
		r := Result{Pairs: [][2]Side{pair(0.9)}, Peer: []Side{{Seconds: 1, Done: rate}}}
		r.judge(nil)
		if len(r.Verdicts) != 1 || r.Verdicts[0].OK != want {
			t.Errorf("against a peer of %v/s: %v", rate, r.Verdicts)
		}
	}
}

func TestMedianIsAValueThatWasThere(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 1}, {[]float64{5, 1, 9}, 5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}
