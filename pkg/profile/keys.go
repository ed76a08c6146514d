package profile

import (
	"encoding/json"
	"fmt"
)

// fewKeys is up to how many keys of an object are compared one by one.
const fewKeys = 12

// container is an object or array that has been opened and not yet closed.
type container struct {
	object  bool
	key     string          // of the value that is being read
	keys    []string        // seen so far
	many    map[string]bool // the same, once they are many
	wantKey bool            // the next string is one
}

// add notes a key, and reports whether it is new.
func (c *container) add(key string) bool {
	if c.many != nil {
		twice := c.many[key]
		c.many[key] = true
		return !twice
	}
	for _, k := range c.keys {
		if k == key {
			return false
		}
	}
	if c.keys = append(c.keys, key); len(c.keys) > fewKeys {
		c.many = make(map[string]bool, 4*fewKeys)
		for _, k := range c.keys {
			c.many[k] = true
		}
	}
	return true
}

// uniqueKeys refuses valid JSON in which an object has a key twice, or that is nested too deep. It is a scan of its own,
// because going through a decoder's tokens took a third of all the time that a webhook's JSON takes.
func uniqueKeys(body []byte) error {
	open := make([]container, 0, 8)
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if len(open) == maxDepth {
				return fmt.Errorf("the body is nested deeper than %d", maxDepth)
			}
			object := body[i] == '{'
			open = append(open, container{object: object, wantKey: object})
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			in := &open[len(open)-1]
			in.wantKey = in.object
		case '"':
			end := endOfString(body, i)
			if len(open) > 0 && open[len(open)-1].wantKey {
				in := &open[len(open)-1]
				in.key, in.wantKey = unquote(body[i:end+1]), false
				if !in.add(in.key) {
					return wrong(path(open), "is there twice")
				}
			}
			i = end
		}
	}
	return nil
}

// endOfString returns where the string that begins at i ends, in valid JSON.
func endOfString(body []byte, i int) int {
	for i++; body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return i
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) string {
	for _, c := range quoted {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(quoted, &s) // it is valid
			return s
		}
	}
	return string(quoted[1 : len(quoted)-1])
}

// path names the value that is being read.
func path(open []container) (at string) {
	for _, c := range open {
		if c.object {
			at = join(at, c.key)
		}
	}
	return at
}
