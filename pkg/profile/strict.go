package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a payload may be nested.
const maxDepth = 64

// Bounds of what is repeated of a payload's keys in an answer.
const maxKeyEcho = 64

// fieldError says which field of a payload is wrong and what is wanted. It never holds the field's value.
type fieldError struct{ field, text string }

func (e *fieldError) Error() string { return "field " + e.field + ": " + e.text }

func wrong(field, format string, args ...any) error {
	return &fieldError{field, fmt.Sprintf(format, args...)}
}

// checkStrict refuses what two JSON readers could understand differently: invalid UTF-8, unpaired surrogates, a key
// twice in one object, and anything after the value. Nothing behind ingress has to wonder again which of two values was
// meant, or signed.
func checkStrict(body []byte) error {
	switch {
	case !utf8.Valid(body):
		return errors.New("the body is not valid UTF-8")
	case !json.Valid(body):
		return errors.New("the body is not JSON")
	case loneSurrogate(body):
		return errors.New("the body has half of a surrogate pair in a string")
	}
	return uniqueKeys(body)
}

// join adds a key to a path, cut and quoted as needed to stand in one line.
func join(path, key string) string {
	if len(key) > maxKeyEcho || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		key = fmt.Sprintf("%.64q", key)
	}
	if path == "" {
		return key
	}
	if len(path) > 4*maxKeyEcho {
		return path
	}
	return path + "." + key
}

// loneSurrogate reports whether a string in valid JSON has an escape that is half of a surrogate pair. Readers replace
// it by U+FFFD, and then two different texts are the same.
func loneSurrogate(body []byte) bool {
	for i := 0; i < len(body)-1; i++ {
		if body[i] != '\\' {
			continue
		}
		i++ // to what is escaped
		r := escaped(body[i:])
		if !utf16.IsSurrogate(r) {
			continue
		}
		if i += 5; i >= len(body) || body[i] != '\\' || utf16.DecodeRune(r, escaped(body[i+1:])) == utf8.RuneError {
			return true
		}
		i += 5
	}
	return false
}

// escaped returns the code unit of an escape u0000 at the start of b, else 0.
func escaped(b []byte) rune {
	if len(b) < 5 || b[0] != 'u' {
		return 0
	}
	var r rune
	for _, c := range b[1:5] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0
		}
	}
	return r
}

// checkCase refuses keys of an object that differ from one of own only by case: some readers would take them for it.
func checkCase(object map[string]json.RawMessage, path string, own ...string) error {
	for key := range object {
		for _, name := range own {
			if key != name && strings.EqualFold(key, name) {
				return wrong(join(path, name), "is written in another case")
			}
		}
	}
	return nil
}
