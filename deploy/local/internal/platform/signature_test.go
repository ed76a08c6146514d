package platform

import (
	"encoding/base64"
	"testing"
	"time"
)

// The body and signature are the contract's first test vector, made by another program.
func TestHubSignatureIsTheContractsVector(t *testing.T) {
	body, err := base64.StdEncoding.DecodeString("eyJldmVudCI6ICJSRUNPUkRJTkdfQ09NUExFVEVEIiwgImV2ZW50SWQiOiAiZXYtMSIsICJyZWNvcmRpbmdJZCI6ICJyZWMtcHViLTEiLCAibWVkaWFGb3JtYXQiOiAibXA0IiwgImR1cmF0aW9uIjogMTgzLjQsICJwYXJ0aWNpcGFudHMiOiBbeyJpZCI6ICJwMSIsICJyb2xlIjogImFnZW50In0sIHsiaWQiOiAicDIiLCAicm9sZSI6ICJjdXN0b21lciIsICJuYW1lIjogIkFkYSJ9XSwgIm1lZGlhVXJsIjogImh0dHBzOi8vY2RuLmV4YW1wbGUuY29tL20vMT9zaWc9YWJjIiwgInRhZ3MiOiB7InF1ZXVlIjogImJpbGxpbmcifSwgImNvbXBsZXRlZEF0IjogIjIwMjYtMTEtMjNUMTA6MDA6MDBaIn0=")
	if err != nil {
		t.Fatal(err)
	}
	h, err := signatureHeaders(Signing{Scheme: HubSHA256, Secret: "whsec-demo-5f2c0f3b9d"}, "", body, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256=5cd4ae2f087e705e13acef3849d76e4120fd2a33efa1002416766eb3393d88ab"
	if got := h.Get("X-Hub-Signature-256"); got != want {
		t.Fatalf("signature %s, want %s", got, want)
	}
}

// The values are those of the Standard Webhooks specification's reference libraries.
func TestStandardWebhooksSignatureIsTheSpecificationsVector(t *testing.T) {
	s := Signing{Scheme: StandardWebhooks, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	h, err := signatureHeaders(s, "msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"webhook-id":        "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestQuantileOfSortedLatencies(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{{nil, 0.5, 0}, {hundred[:1], 0.99, 1}, {hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 0, 1}, {hundred, 1, 100}} {
		if got := quantile(c.sorted, c.q); got != c.want {
			t.Errorf("quantile %v of %d latencies is %d, want %d", c.q, len(c.sorted), got, c.want)
		}
	}
}
