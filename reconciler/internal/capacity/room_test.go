package capacity

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// account is this package's JetStream world.
const account = "test27"

// monitor serves an answer to /jsz.
func monitor(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jsz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestMeasureCountsWhatOurStreamsHaveAlreadyAsAvailable(t *testing.T) {
	_, js := testenv.Account(t, account)
	url := monitor(t, http.StatusOK, `{"reserved_storage":70000000,"config":{"max_storage":100000000}}`)
	sizes := queue.Sizes{Recordings: 20_000_000, Letters: 10_000_000, Audit: 5_000_000}
	room, err := Measure(t.Context(), http.DefaultClient, url+"/", js, queue.Topology{Sizes: sizes})
	if err != nil || room.Needed != 35_000_000 || room.Available != 30_000_000 || room.Fits() {
		t.Fatalf("without streams: got %+v, %v", room, err)
	}
	for name, subject := range map[string]string{queue.Recordings: "a", "OTHER": "b"} {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, MaxBytes: 6_000_000})
		if err != nil {
			t.Fatal(err)
		}
	}
	room, err = Measure(t.Context(), http.DefaultClient, url, js, queue.Topology{Sizes: sizes})
	if err != nil || room.Available != 36_000_000 || !room.Fits() {
		t.Errorf("with a stream of ours and one of others: got %+v, %v", room, err)
	}
	room, err = Measure(t.Context(), http.DefaultClient, url, js, queue.Topology{Sizes: sizes, Peer: queue.Peer{Domain: "west"}})
	if err != nil || room.Needed != 60_000_000 || room.Fits() {
		t.Errorf("with a peer region: got %+v, %v", room, err)
	}
	room.Needed = 35_000_000
	if got := room.String(); got != "needed 33.4 MiB, available 34.3 MiB" {
		t.Errorf("got %q", got)
	}
}

func TestMeasureSaysWhatIsWrongWithTheAnswer(t *testing.T) {
	_, js := testenv.Account(t, account)
	for _, c := range []struct {
		name, body, want string
		status           int
	}{
		{"an error", "", "500", http.StatusInternalServerError},
		{"something else", "<html>", "not that of /jsz", http.StatusOK},
		{"JetStream off", `{"disabled":true}`, "not enabled", http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Measure(t.Context(), http.DefaultClient, monitor(t, c.status, c.body), js, queue.Topology{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	if _, err := Measure(t.Context(), http.DefaultClient, "http://127.0.0.1:1", js, queue.Topology{}); err == nil {
		t.Error("nobody answers: want an error")
	}
}

func TestHumanSizes(t *testing.T) {
	for b, want := range map[settings.Bytes]string{0: "0.0 MiB", 512 << 20: "512.0 MiB", 3 << 29: "1.5 GiB"} {
		if got := human(b); got != want {
			t.Errorf("%d: got %s, want %s", b, got, want)
		}
	}
}
