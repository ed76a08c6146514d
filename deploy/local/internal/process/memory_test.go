package process

import (
	"os"
	"testing"
)

func TestHighWaterIsInKiB(t *testing.T) {
	if got := highWater([]byte("Name:\tx\nVmHWM:\t  123456 kB\nVmRSS:\t 1 kB\n")); got != 123456 {
		t.Errorf("high water %d, want 123456", got)
	}
	if got := highWater([]byte("Name:\tx\n")); got != 0 {
		t.Errorf("high water of nothing is %d", got)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if highWater(own) < 1024 {
		t.Error("this very process is said to have less than a MiB")
	}
}
