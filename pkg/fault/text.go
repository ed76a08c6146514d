package fault

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is the longest text, in bytes, that Text returns: what a dead letter's Twinreel-Error header may hold.
const MaxText = 1024

// anyURL matches what could be a URL with a signature or a user in it, up to what Go escapes in a URL: a blank, a double quote, an angle bracket.
var anyURL = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"<>]+`)

// Text returns err as one line of at most MaxText bytes that may be logged or put into a header: URLs are replaced by
// their host, control characters by blanks. A nil err is "".
func Text(err error) string {
	if err == nil {
		return ""
	}
	return Clean(err.Error())
}

// Clean makes s fit to be logged, by the rules of Text.
func Clean(s string) string {
	s = anyURL.ReplaceAllStringFunc(s, hostOnly)
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func hostOnly(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return "<url>"
	}
	return "<" + u.Hostname() + ">"
}

// WithoutURL takes the URL out of an *url.Error, which would print it, and leaves any other error as it is.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
