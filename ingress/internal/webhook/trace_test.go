package webhook

import "testing"

func TestAValidTraceIsGoneOnWith(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for in, want := range map[string]string{
		"00-" + id + "-" + span + "-01":       "00-" + id + "-" + span + "-01",
		"cc-" + id + "-" + span + "-00-later": "00-" + id + "-" + span + "-00",
	} {
		if got := traceparent(headers("traceparent", in)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestAnInvalidTraceIsReplacedByANewOne(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	good := "00-" + id + "-" + span + "-01"
	seen := map[string]bool{}
	for _, in := range [][]string{
		nil,
		{"traceparent", ""},
		{"traceparent", "ff-" + id + "-" + span + "-01"},
		{"traceparent", good + "-x"},
		{"traceparent", "00-00000000000000000000000000000000-" + span + "-01"},
		{"traceparent", "00-" + id + "-0000000000000000-01"},
		{"traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01"},
		{"traceparent", good, "traceparent", good},
	} {
		got := traceparent(headers(in...))
		if _, ok := validTrace(got); !ok || seen[got] || got == good {
			t.Errorf("%q: got %q", in, got)
		}
		seen[got] = true
	}
}
