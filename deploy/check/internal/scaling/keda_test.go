package scaling

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// servers are NATS servers, each on a loopback address of its own, because KEDA asks all of them at the same port.
type servers struct {
	*testing.T
	monitoring string // of the first
	js         jetstream.JetStream
}

// start starts so many servers.
func start(t *testing.T, n int) *servers {
	t.Helper()
	binary, err := tools.NATSServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clients, monitors, routes := free(t, n), free(t, n), free(t, n)
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("nats://%s:%s", host(i), routes))
	}
	for i := range n {
		dir := t.TempDir()
		conf := fmt.Sprintf("server_name: nats-%d\nlisten: %q\nhttp: %q\njetstream { store_dir: %q, sync_interval: always }\n"+
			"accounts { TWINREEL: { jetstream: enabled, users: [ {user: a, password: a} ] }, SYS: { users: [ {user: s, password: s} ] } }\nsystem_account: SYS\n",
			i, host(i)+":"+clients, host(i)+":"+monitors, dir)
		if n > 1 {
			conf += fmt.Sprintf("cluster { name: one, listen: %q, routes: [ %s ] }\n", host(i)+":"+routes, strings.Join(all, ", "))
		}
		file := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "-c", file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	s := &servers{T: t, monitoring: "http://" + host(0) + ":" + monitors}
	nc, err := nats.Connect("nats://"+host(0)+":"+clients, nats.UserInfo("a", "a"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	s.until("the stream can be made", func(ctx context.Context) error {
		_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "RECORDINGS", Subjects: []string{"recordings.>"}, Replicas: n})
		return err
	})
	for name, subject := range map[string]string{"primary": "recordings.completed.both", "primary-backfill": "recordings.completed.backup"} {
		_, err := s.js.CreateOrUpdateConsumer(t.Context(), "RECORDINGS", jetstream.ConsumerConfig{
			Durable: name, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: subject, MaxAckPending: 50_000, Replicas: n,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func host(i int) string { return fmt.Sprintf("127.0.0.%d", i+1) }

// free is a port that is free at the first n addresses.
func free(t *testing.T, n int) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", host(0)+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, p, _ := net.SplitHostPort(l.Addr().String())
		open := []net.Listener{l}
		for i := 1; i < n && err == nil; i++ {
			if l, err = net.Listen("tcp", host(i)+":"+p); err == nil {
				open = append(open, l)
			}
		}
		for _, l := range open {
			_ = l.Close()
		}
		if err == nil {
			return p
		}
	}
	t.Fatal("no port is free at all addresses")
	return ""
}

// until waits until something works.
func (s *servers) until(what string, works func(ctx context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, 10*time.Second)
		err := works(once)
		done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s: not in a minute: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// publish publishes so many events.
func (s *servers) publish(subject string, n int) {
	s.Helper()
	for range n {
		if _, err := s.js.PublishAsync(subject, []byte("x"), jetstream.WithStallWait(time.Minute)); err != nil {
			s.Fatal(err)
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		s.Fatal("what was published was not acknowledged in a minute")
	}
}

// lag waits until KEDA would take so much for a consumer's lag.
func (s *servers) lag(called string, want int64) (by string) {
	s.Helper()
	s.until(fmt.Sprintf("the lag of %s is %d", called, want), func(ctx context.Context) error {
		got, believed, err := Lag(ctx, s.monitoring, "TWINREEL", "RECORDINGS", called)
		if by = believed; err == nil && got != want {
			err = fmt.Errorf("it is %d", got)
		}
		return err
	})
	return by
}

// take takes so many messages, and hands them back for an hour from now.
func (s *servers) take(called string, n int) {
	s.Helper()
	c, err := s.js.Consumer(s.Context(), "RECORDINGS", called)
	if err != nil {
		s.Fatal(err)
	}
	for taken := 0; taken < n; {
		batch, err := c.Fetch(n-taken, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			s.Fatal(err)
		}
		for m := range batch.Messages() {
			taken++
			if err := m.NakWithDelay(time.Hour); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// given a backlog on one server, and on three of which another one comes to lead, when KEDA asks, then its figures are the
// backlog's: what waits for a timer is in them, and of a consumer that is not there it has none.
func TestKEDATakesTheBacklogForTheLag(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			s := start(t, n)
			total := 0
			for _, backlog := range []int{1, 10, 10_000} {
				s.publish("recordings.completed.both", backlog-total)
				total = backlog
				s.lag("primary", int64(backlog))
			}
			s.publish("recordings.completed.backup", 7)
			s.lag("primary-backfill", 7)
			s.take("primary", 5)
			was := s.lag("primary", int64(total))
			if got, _, err := Lag(t.Context(), s.monitoring, "TWINREEL", "RECORDINGS", "nobody"); err == nil {
				t.Errorf("the lag of a consumer that is not there is %d", got)
			}
			if n == 1 {
				return
			}
			s.until("another server leads", func(ctx context.Context) error {
				resp, err := s.js.Conn().RequestWithContext(ctx, "$JS.API.CONSUMER.LEADER.STEPDOWN.RECORDINGS.primary", nil)
				if err != nil {
					return err
				}
				if !strings.Contains(string(resp.Data), `"success":true`) {
					return fmt.Errorf("it does not step down: %s", resp.Data)
				}
				return nil
			})
			s.publish("recordings.completed.both", 3)
			s.until("KEDA believes another one", func(context.Context) error {
				if is := s.lag("primary", int64(total+3)); is == was || is == "" {
					return fmt.Errorf("it believes %q still", is)
				}
				return nil
			})
		})
	}
}

// scaler is what is applied for a tier.
type scaler struct {
	Metadata struct{ Name string }
	Spec     struct {
		MinReplicaCount int `yaml:"minReplicaCount"`
		MaxReplicaCount int `yaml:"maxReplicaCount"`
		Advanced        struct {
			ScalingModifiers struct{ Formula, Target string } `yaml:"scalingModifiers"`
		}
	}
}

// given the formulas that are applied, when a tier has a backlog, then as many workers come as can do something about it.
func TestTheFormulasAskForWorkersThatHaveSomethingToDo(t *testing.T) {
	for _, file := range []string{"scalers.yaml", "scale-by-backlog.yaml"} {
		b, err := os.ReadFile(repo.Path(t, "deploy", "kubernetes", "components", "keda", file))
		if err != nil {
			t.Fatal(err)
		}
		dec := yaml.NewDecoder(strings.NewReader(string(b)))
		for range 2 {
			var s scaler
			if err := dec.Decode(&s); err != nil {
				t.Fatal(err)
			}
			m := s.Spec.Advanced.ScalingModifiers
			target, err := strconv.ParseFloat(m.Target, 64)
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]struct {
				live, backfill, open, well float64
				want                       int
			}{
				"nothing waits":                        {0, 0, 1, 1, 2},
				"one":                                  {1, 0, 1, 1, 2},
				"more than two can have at hand":       {129, 0, 1, 1, 3},
				"ten thousand":                         {10_000, 0, 1, 1, 8},
				"backfill, which is open":              {0, 10_000, 1, 1, 8},
				"backfill, which waits":                {10, 10_000, 0, 1, 2},
				"ten thousand, and the tier is parked": {10_000, 10_000, 1, 0, 2},
			} {
				got, err := Replicas(m.Formula, map[string]float64{"live": c.live, "backfill": c.backfill, "open": c.open, "well": c.well}, target,
					s.Spec.MinReplicaCount, s.Spec.MaxReplicaCount)
				if err != nil || got != c.want {
					t.Errorf("%s, %s, %s: %d workers, want %d: %v", file, s.Metadata.Name, name, got, c.want, err)
				}
			}
		}
	}
	if _, err := Replicas("live + gone", map[string]float64{"live": 1}, 1, 1, 2); err == nil {
		t.Error("a formula that names nothing is taken")
	}
}
