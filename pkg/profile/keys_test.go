package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// byTokens does what uniqueKeys does, by the standard library's tokens: slower, and plainly right.
func byTokens(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	return walk(dec, "", 0)
}

// walk reads one value of valid JSON; path is where it stands.
func walk(dec *json.Decoder, path string, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return errors.New("the body is not JSON")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("the body is nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for dec.More() {
		at := path
		if open == '{' {
			t, err := dec.Token()
			key, ok := t.(string)
			if err != nil || !ok {
				return errors.New("the body is not JSON")
			}
			at = join(path, key)
			if seen[key] {
				return wrong(at, "is there twice")
			}
			seen[key] = true
		}
		if err := walk(dec, at, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing one
	return err
}

func agree(t *testing.T, body []byte) {
	t.Helper()
	got, want := uniqueKeys(body), byTokens(body)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%.300q: %v, by tokens %v", body, got, want)
	}
}

func TestKeysAreScannedAsTheyAreRead(t *testing.T) {
	many := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":%d,`, i, i)
		}
		return "{" + b.String() + last + "}"
	}
	for _, body := range []string{
		`{}`, `[]`, `"x"`, `1`, `null`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"c":[{"d":1},{"d":2,"d":3}]}}`,
		`{"a":"{\"a\":1,\"a\":2}","b":"]}\\"}`, `[[1,"a","a"],{"a":"a"},{"a":"a"}]`, `{"":1,"":2}`, `{"é":1,"\u00e9":2}`, `{"a":[],"b":{},"a":0}`,
		`{"x":{"a":1},"y":{"a":1},"z":[{"a":1},{"a":1}]}`, ` { "a" : 1 , "b" : [ 1 , 2 ] , "a" : 3 } `,
		many(11, `"x":1`), many(12, `"k0":1`), many(13, `"k12":1`), many(200, `"k199":1`), many(200, `"y":1`),
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
		`{"` + strings.Repeat("long", 40) + `":{"x":1,"x":2}}`,
	} {
		if !json.Valid([]byte(body)) {
			t.Fatalf("the test's own %s is not JSON", body)
		}
		agree(t, []byte(body))
	}
}

func FuzzKeysAreScannedAsTheyAreRead(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":"\\\""}]},"\u0061":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if json.Valid(body) && !loneSurrogate(body) {
			agree(t, body)
		}
	})
}
