package natsserver_test

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/deploy/local/natsserver"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// TestPermissions holds the users against a server with everything provisioned. That each may do what its program does is
// shown by the whole fleet: no end-to-end test may leave a refusal in the server's log.
func TestPermissions(t *testing.T) {
	a := start(t)
	for user, forbidden := range mayNot() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := connect(t, a, user, user)
			for _, subject := range forbidden {
				c.refused(t, "publish to "+subject, func(nc *nats.Conn) error { return nc.Publish(subject, []byte("{}")) })
			}
			for _, subject := range append(inboxesOfOthers(user), ">", "_INBOX.>", "recordings.>", "audit.>", "$KV.>", "$JS.>", "$SYS.>") {
				c.refused(t, "subscribe to "+subject, func(nc *nats.Conn) error {
					_, err := nc.SubscribeSync(subject)
					return err
				})
			}
		})
	}
}

// given the connection by which another region's servers come, when it asks for anything but to mirror what it may, or says what
// both regions' streams would take, then it is refused.
func TestARegionMayMirrorAndNoMore(t *testing.T) {
	s := servers(t)
	w, err := s.NewWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.StartRegions(t.Context(), w, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := r.East.World.NATS
	a.Logins = map[string]stack.Login{natsserver.Region: r.Link}
	c := connect(t, a, natsserver.Region, "region")
	forbidden := api("STREAM.PURGE.RECORDINGS", "STREAM.DELETE.AUDIT", "STREAM.UPDATE.KV_twinreel-digests", "STREAM.MSG.DELETE.RECORDINGS", "STREAM.MSG.GET.RECORDINGS",
		"CONSUMER.DELETE.RECORDINGS.primary", "CONSUMER.MSG.NEXT.RECORDINGS.primary", "CONSUMER.CREATE.RECORDINGS_DLQ.mine", "CONSUMER.CREATE.KV_twinreel-leases.mine", "META.LEADER.STEPDOWN")
	for _, subject := range append(forbidden, "recordings.completed.both", "recordings.redrive.primary", "audit.stored.primary", "$KV.twinreel-digests.x", "$KV.twinreel-tombstones.x",
		"$JS.ACK.RECORDINGS.primary.1.1.1.1.0", "_INBOX.ingress.x", "_INBOX.worker-primary.x") { // what is acknowledged there would be taken for stored
		c.refused(t, "publish to "+subject, func(nc *nats.Conn) error { return nc.Publish(subject, []byte("{}")) })
	}
	for _, subject := range []string{">", "recordings.>", "audit.>", "$KV.>", "$JS.API.>", "$SYS.>", "_INBOX.>", "_INBOX.ingress.>", "_INBOX.worker-backup.>"} {
		c.refused(t, "subscribe to "+subject, func(nc *nats.Conn) error {
			_, err := nc.SubscribeSync(subject)
			return err
		})
	}
	notOverTheLink(t, r)
}

// notOverTheLink has somebody who may do everything in one region, and is answered as a reconciler, try to harm the other's streams, and to say what they take.
func notOverTheLink(t *testing.T, r *stack.Regions) {
	t.Helper()
	whole := func(at *stack.Region) *client {
		a := at.World.NATS
		a.Logins = map[string]stack.Login{"all": {User: a.User, Password: a.Password}}
		return connect(t, a, "all", "reconciler")
	}
	between(t, r.East, whole(r.East), whole(r.West))
	between(t, r.West, whole(r.West), whole(r.East))
}

// between has west try to harm east, which may be either.
func between(t *testing.T, at *stack.Region, east, west *client) {
	t.Helper()
	sizes := queue.Sizes{Recordings: 1 << 30, Letters: 1 << 30, Audit: 1 << 30, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), east.js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := east.js.Publish(t.Context(), "recordings.completed.both", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	over, err := queue.Peer{Domain: at.Name}.JetStream(west.js)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := over.Stream(t.Context(), queue.Recordings); err != nil {
		t.Errorf("a region cannot ask how far the other is: %v", err)
	}
	for what, do := range map[string]func(context.Context) error{
		"delete a stream":   func(ctx context.Context) error { return over.DeleteStream(ctx, queue.Audit) },
		"delete a consumer": func(ctx context.Context) error { return over.DeleteConsumer(ctx, queue.Recordings, "primary") },
		"empty a stream": func(ctx context.Context) error {
			s, err := over.Stream(ctx, queue.Audit)
			if err != nil {
				return nil //nolint:nilerr // an error here would pass for the refusal that is looked for
			}
			return s.Purge(ctx)
		},
		"change a stream": func(ctx context.Context) error {
			_, err := over.UpdateStream(ctx, jetstream.StreamConfig{Name: queue.Recordings, Subjects: []string{"mine"}})
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := do(ctx); err == nil {
			t.Errorf("a region may %s of the other", what)
		}
		cancel()
	}
	if err := west.nc.Publish("recordings.completed.both", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := west.nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := over.Stream(t.Context(), queue.Recordings); err != nil { // it goes the same way, behind what was published
		t.Fatal(err)
	}
	for _, name := range []string{queue.Recordings, queue.Audit} {
		s, err := east.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.Msgs; name == queue.Recordings && n != 1 {
			t.Errorf("%s has %d messages: what was published in the other region came over", name, n)
		}
	}
	if _, err := east.js.Consumer(t.Context(), queue.Recordings, "primary"); err != nil {
		t.Error(err)
	}
}

// given a connection without TLS, or one that does not trust the stack's authority, when a program would use it, then …
func TestTheServerProvesItself(t *testing.T) {
	a := start(t)
	login := a.Logins["ingress"]
	if nc, err := nats.Connect(a.TLSURL, nats.UserInfo(login.User, login.Password), nats.CustomInboxPrefix("_INBOX.ingress")); err == nil {
		nc.Close()
		t.Error("a client that does not know the authority trusts the server")
	}
	c := connect(t, a, "ingress", "ingress")
	if state, err := c.nc.TLSConnectionState(); err != nil || state.Version == 0 {
		t.Errorf("the programs' connection: %v, %v", state.Version, err)
	}
}

// given a user that may not do what a command does, when an operator runs it, then he is told so, and not left to wait.
func TestAnOperatorAsTheWrongUserIsToldSo(t *testing.T) {
	a := start(t)
	login := a.Logins[natsserver.Provisioner]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(testenv.Need(t, testenv.Bin), "reconciler"), "tiers")
	cmd.Env = []string{"TWINREEL_NATS_URL=" + a.TLSURL, "TWINREEL_NATS_CA_FILE=" + a.CA, "TWINREEL_NATS_USER=" + login.User, "TWINREEL_NATS_PASSWORD=" + login.Password}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "TWINREEL_NATS_USER") || strings.Contains(string(out), login.Password) {
		t.Errorf("%v: %s", err, out)
	}
}

// api are requests to JetStream, by which a user could read, change or remove what is another's.
func api(requests ...string) (out []string) {
	for _, r := range requests {
		out = append(out, "$JS.API."+r)
	}
	return out
}

// nobodys is what no program may do, but for provisioning the first of it.
func nobodys() (out []string) {
	for _, s := range []string{
		queue.Recordings, queue.DeadLetters, queue.Audit, "KV_" + queue.Digests, "KV_" + queue.Tiers, "KV_" + queue.Leases, "KV_" + queue.Tombstones, "KV_" + queue.Quarantine,
		queue.PeerRecordings, queue.PeerAudit, "KV_" + queue.PeerDigests, "KV_" + queue.PeerTombstones,
	} {
		out = append(out, api("STREAM.UPDATE."+s, "STREAM.DELETE."+s, "STREAM.PURGE."+s)...)
	}
	return append(out, api("STREAM.CREATE.MINE", "STREAM.MSG.DELETE.RECORDINGS", "STREAM.MSG.DELETE.AUDIT", "STREAM.SNAPSHOT.RECORDINGS",
		"CONSUMER.DURABLE.CREATE.RECORDINGS.primary", "CONSUMER.CREATE.RECORDINGS.primary", "CONSUMER.CREATE.RECORDINGS.primary.recordings.completed.both",
		"CONSUMER.CREATE.RECORDINGS.backup-backfill", "CONSUMER.DELETE.RECORDINGS.primary", "CONSUMER.DELETE.RECORDINGS.backup",
		"CONSUMER.PAUSE.RECORDINGS.primary",
		"CONSUMER.CREATE.RECORDINGS_PEER.primary-peer", "CONSUMER.DELETE.RECORDINGS_PEER.backup-peer", "CONSUMER.RESET.RECORDINGS.primary", "META.LEADER.STEPDOWN", "ACCOUNT.PURGE.TWINREEL")...)
}

// reading is how streams are read in passing by their consumers.
func reading(streams ...string) (out []string) {
	for _, s := range streams {
		out = append(out, api("STREAM.MSG.GET."+s, "DIRECT.GET."+s, "DIRECT.GET."+s+".recordings.completed.both", "CONSUMER.CREATE."+s+".mine", "CONSUMER.CREATE."+s)...)
	}
	return out
}

// taking is to take what the consumers of a tier deliver, or to say that it is done.
func taking(tier string) []string {
	return append(api("CONSUMER.MSG.NEXT.RECORDINGS."+tier, "CONSUMER.MSG.NEXT.RECORDINGS."+tier+"-backfill", "CONSUMER.MSG.NEXT.RECORDINGS_PEER."+tier+"-peer"),
		"$JS.ACK.RECORDINGS_PEER."+tier+"-peer.1.1.1.1.0", "$JS.ACK.test.hash.RECORDINGS_PEER."+tier+"-peer.1.1.1.1.0",
		"$JS.ACK.RECORDINGS."+tier+".1.1.1.1.0", "$JS.ACK.RECORDINGS."+tier+"-backfill.1.1.1.1.0", "$JS.ACK._.hash.RECORDINGS."+tier+".1.1.1.1.0")
}

func join(lists ...[]string) (out []string) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// mayNot is what each user must be refused.
func mayNot() map[string][]string {
	worker := func(own, other string) []string {
		return join(nobodys(), taking(other), reading(queue.Recordings, queue.DeadLetters, queue.Audit, queue.PeerRecordings, "KV_"+queue.Leases, "KV_"+queue.Quarantine), []string{
			"recordings.completed.both", "recordings.completed." + own, "recordings.redrive." + own, "recordings.redrive." + other, "recordings.dlq." + other,
			"audit.stored." + other, "audit.run.all", "$KV.twinreel-tiers." + own + ".paused", "$KV.twinreel-tiers." + other + ".host-1",
			"$KV.twinreel-tiers." + other + ".paused", "$KV.twinreel-leases.reconciler", "$KV.twinreel-leases.ingress.host-1", "$KV.twinreel-tombstones.x",
			"$KV.twinreel-quarantine.x", "_INBOX.ingress.x", "_INBOX.worker-" + other + ".x",
		}, api("CONSUMER.CREATE.KV_twinreel-digests.mine", "CONSUMER.CREATE.KV_twinreel-tiers.mine", "CONSUMER.INFO.RECORDINGS."+other, "STREAM.NAMES", "STREAM.LIST", "INFO"))
	}
	return map[string][]string{
		"ingress": join(nobodys(), taking("primary"), taking("backup"), reading(queue.Recordings, queue.DeadLetters, queue.Audit, "KV_"+queue.Digests, "KV_"+queue.Quarantine), []string{
			"recordings.redrive.primary", "recordings.redrive.backup", "recordings.dlq.primary", "audit.stored.primary", "audit.run.all",
			"$KV.twinreel-tiers.primary.host-1", "$KV.twinreel-tiers.primary.paused", "$KV.twinreel-digests.x", "$KV.twinreel-leases.reconciler",
			"$KV.twinreel-tombstones.x", "_INBOX.worker-primary.x",
		}, api("CONSUMER.CREATE.KV_twinreel-tiers.mine", "CONSUMER.INFO.RECORDINGS.primary", "STREAM.INFO.AUDIT", "STREAM.NAMES", "INFO")),
		"worker-primary": worker("primary", "backup"),
		"worker-backup":  worker("backup", "primary"),
		"reconciler": join(without(nobodys(), api("STREAM.PURGE.AUDIT")), taking("primary"), taking("backup"), []string{
			"recordings.completed.primary", "recordings.completed.backup",
			"$KV.twinreel-tiers.primary.host-1", "$KV.twinreel-tiers.backup.host-1", "$KV.twinreel-leases.ingress.host-1", "_INBOX.ingress.x",
		}, api("CONSUMER.CREATE.RECORDINGS", "STREAM.NAMES")),
		natsserver.Provisioner: join(taking("primary"), taking("backup"), reading(queue.Recordings, queue.Audit, "KV_"+queue.Digests), []string{
			"recordings.completed.both", "recordings.redrive.primary", "recordings.dlq.primary", "audit.stored.primary", "$KV.twinreel-tiers.primary.paused",
			"$KV.twinreel-digests.x", "$KV.twinreel-leases.reconciler",
		}, api("STREAM.CREATE.MINE", "STREAM.DELETE.MINE", "STREAM.PURGE.RECORDINGS", "STREAM.PURGE.AUDIT", "STREAM.MSG.DELETE.RECORDINGS_DLQ", "STREAM.SNAPSHOT.RECORDINGS")),
	}
}

// without leaves out what a user may do after all.
func without(list, may []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(may, s) })
}

func inboxesOfOthers(user string) (out []string) {
	for _, other := range natsserver.Users() {
		if other != user {
			out = append(out, "_INBOX."+other+".>")
		}
	}
	return out
}

// start starts the servers and provisions, as the user that may.
func start(t *testing.T) stack.NATSAccess {
	t.Helper()
	s := servers(t)
	c := connect(t, s.NATSAccess, natsserver.Provisioner, natsserver.Provisioner)
	sizes := queue.Sizes{Recordings: 1 << 30, Letters: 1 << 30, Audit: 1 << 30, MaxAge: time.Hour}
	if _, err := (queue.Topology{Sizes: sizes, Replicas: 1, Peer: queue.Peer{Domain: "elsewhere"}}).Provision(t.Context(), c.js); err != nil {
		t.Fatal(err)
	}
	return s.NATSAccess
}

// servers starts the servers.
func servers(t *testing.T) *stack.Stack {
	t.Helper()
	testenv.Need(t, testenv.Bin)
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Tools{Root: root, Say: io.Discard}.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a connection as one user, and what the server refused it.
type client struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	refusal chan error
}

func connect(t *testing.T, a stack.NATSAccess, user, program string) *client {
	t.Helper()
	login := a.Logins[user]
	nc, js, err := queue.Connect(queue.Config{
		URLs: strings.Split(a.TLSURL, ","), CA: a.CA, User: login.User, Password: settings.NewSecret(login.Password), Replicas: 1,
	}, program, t.Name(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c := &client{nc, js, make(chan error, 16)}
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.refusal <- err })
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return c
}

// refused fails unless the server refuses what do does, and nothing else.
func (c *client) refused(t *testing.T, what string, do func(*nats.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := do(c.nc); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := c.nc.FlushWithContext(ctx); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	_, subject, _ := strings.Cut(what, " to ")
	select {
	case err := <-c.refusal:
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", subject)) {
			t.Errorf("%s: refused, but with %v", what, err)
		}
	case <-time.After(time.Second): // the refusal comes before the flush's answer, and is handed over a little later
		t.Errorf("%s: allowed", what)
	}
}
