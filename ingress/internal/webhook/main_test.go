package webhook

import (
	"testing"

	"go.uber.org/goleak"
)

// After an answer that ends a connection the HTTP server waits half a second, so that the answer is read before the reset.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}
