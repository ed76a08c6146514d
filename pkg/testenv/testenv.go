// Package testenv gives tests the addresses of the real servers that they run against.
//
// The harness in deploy/local starts the servers and sets the variables; a test that asks for one that is not set
// fails and says how to run it, because a missing server must never look like a passed test. Only `go test -short`
// leaves such tests out.
package testenv

import (
	"os"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of the variables that the harness sets.
const (
	NATSURL          = "TWINREEL_TEST_NATS_URL"
	PeerNATSURL      = "TWINREEL_TEST_PEER_NATS_URL"
	RedisURL         = "TWINREEL_TEST_REDIS_URL"
	S3Endpoint       = "TWINREEL_TEST_S3_ENDPOINT"
	S3Region         = "TWINREEL_TEST_S3_REGION"
	S3Bucket         = "TWINREEL_TEST_S3_BUCKET"
	S3WriterKey      = "TWINREEL_TEST_S3_WRITER_ACCESS_KEY"
	S3WriterSecret   = "TWINREEL_TEST_S3_WRITER_SECRET_KEY"
	S3ReaderKey      = "TWINREEL_TEST_S3_READER_ACCESS_KEY"
	S3ReaderSecret   = "TWINREEL_TEST_S3_READER_SECRET_KEY"
	S3RootKey        = "TWINREEL_TEST_S3_ROOT_ACCESS_KEY"
	S3RootSecret     = "TWINREEL_TEST_S3_ROOT_SECRET_KEY"
	AzureServiceURL  = "TWINREEL_TEST_AZURE_SERVICE_URL"
	AzureAccountName = "TWINREEL_TEST_AZURE_ACCOUNT_NAME"
	AzureAccountKey  = "TWINREEL_TEST_AZURE_ACCOUNT_KEY"
	AzureContainer   = "TWINREEL_TEST_AZURE_CONTAINER"
	Bin              = "TWINREEL_TEST_BIN"
)

// The JetStream domains of the test server and of its peer, another server that stands for another region's.
const (
	Domain     = "test"
	PeerDomain = "peer"
)

// PeerAccounts are the accounts that the test server and its peer have in common.
func PeerAccounts() []string {
	return []string{"test08", "test09", "test10", "test11", "test28", "test40"}
}

// NATSPassword is the password of every test account on the test server.
const NATSPassword = "test"

// Need returns the value of the variable name. Where it is unset the test fails, or, with -short, ends as skipped.
func Need(t testing.TB, name string) string {
	t.Helper()
	if v := os.Getenv(name); v != "" {
		return v
	}
	if testing.Short() {
		t.Skipf("-short: %s is not set", name)
	}
	t.Fatalf("%s is not set: this test needs real servers; run it by `make test`, or "+
		"`go run ./deploy/local/cmd/local with-servers -- go test <package>`", name)
	return ""
}

// Account connects to the test server's account (test01 … test40: a JetStream world of its own), empties it of all
// streams, and closes the connection when the test ends. Each package owns some accounts, so packages tested at the
// same time do not meet; tests that share an account must not run in parallel.
func Account(t testing.TB, account string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connect(t, NATSURL, account)
}

// Peer connects to one of the PeerAccounts in the peer region, as Account does here.
func Peer(t testing.TB, account string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connect(t, PeerNATSURL, account)
}

func connect(t testing.TB, url, account string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(Need(t, url), nats.UserInfo(account, NATSPassword), nats.Name(t.Name()))
	if err != nil {
		t.Fatalf("connect to the test server as %s: %v", account, err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("jetstream: %v", err)
	}
	ctx := t.Context()
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if err := js.DeleteStream(ctx, name); err != nil {
			t.Fatalf("delete stream %s: %v", name, err)
		}
	}
	if names.Err() != nil {
		t.Fatalf("list streams: %v", names.Err())
	}
	return nc, js
}
