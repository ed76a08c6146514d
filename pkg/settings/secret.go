package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Bounds of reading secrets from files.
const (
	rereadAfter   = 2 * time.Second // a changed file is seen at the first use later than this
	maxSecretFile = 64 << 10        // bytes; a longer file is not a secret
)

// Secret is a value that is never printed. It comes from a variable, or from the file that the variable's name with
// _FILE names; the file is read again while the program runs, so that rotation needs no restart. An emptied or
// unreadable file keeps the last good value. Copies share their state. The zero value is unset.
type Secret struct{ state *secretState }

// secretState is what copies of a Secret share.
type secretState struct {
	variable string
	path     string // "" for a fixed value
	options  options

	mu      sync.Mutex
	value   string
	read    time.Time // when the file was last looked at
	trouble string    // what was warned about last, "" while all is well
}

// NewSecret returns a Secret of a fixed value; an empty one is unset.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&secretState{value: value}}
}

// SecretFile returns the Secret in the file at path. name is what warnings call it, usually a variable. The error says
// that the file cannot be read or is empty.
func SecretFile(name, path string, list ...Option) (Secret, error) {
	s := &secretState{variable: name, path: path, options: newOptions(list)}
	value, err := s.load()
	if err != nil {
		return Secret{}, err
	}
	s.value, s.read = value, s.options.now()
	return Secret{s}, nil
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.state != nil }

// Get returns the value, "" when unset. For a secret in a file it is the file's content without trailing line ends, at
// most two seconds old.
func (s Secret) Get() string {
	if s.state == nil {
		return ""
	}
	return s.state.get()
}

// Lines returns the value's lines without blanks around them and without empty ones: one secret a line.
func (s Secret) Lines() []string {
	var out []string
	for line := range strings.Lines(s.Get()) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// String tells only whether there is a value.
func (s Secret) String() string {
	if s.IsSet() {
		return "(set)"
	}
	return "(unset)"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format is String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// get reads the file again when it is time, and returns the last good value.
func (s *secretState) get() string {
	if s.path == "" {
		return s.value
	}
	value, trouble := s.refresh()
	if trouble != "" {
		s.options.warn(s.variable, trouble)
	}
	return value
}

// refresh returns the value, and what to warn about if that is new.
func (s *secretState) refresh() (value, trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.now()
	if age := now.Sub(s.read); age >= 0 && age < rereadAfter {
		return s.value, ""
	}
	s.read = now
	fresh, err := s.load()
	if err == nil {
		s.value, s.trouble = fresh, ""
		return s.value, ""
	}
	text := err.Error() + "; the last good value stays in use"
	if text == s.trouble {
		return s.value, ""
	}
	s.trouble = text
	return s.value, text
}

// load reads the file.
func (s *secretState) load() (string, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return "", fmt.Errorf("file %s cannot be read: %w", s.path, cause(err))
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("file %s cannot be read: %w", s.path, cause(err))
	case len(b) > maxSecretFile:
		return "", fmt.Errorf("file %s is longer than %v", s.path, Bytes(maxSecretFile))
	case strings.TrimSpace(string(b)) == "":
		return "", fmt.Errorf("file %s is empty", s.path)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// cause takes the path, which is named already, out of a file's error.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// secret reads one field of type Secret.
func (l *loader) secret(name string, f reflect.StructField, into *Secret) {
	value, path := l.value(name), l.value(name+fileSuffix)
	switch {
	case value != "" && path != "":
		l.problem(name, "is set together with %s; set one of them", name+fileSuffix)
	case path != "":
		s, err := SecretFile(name+fileSuffix, path, OnWarning(l.options.warn), Clock(l.options.now))
		if err != nil {
			l.problem(name+fileSuffix, "%s", err)
		}
		*into = s
	case value == "" && f.Tag.Get("required") == "true":
		l.problem(name, "is required, or a path in %s: %s", name+fileSuffix, f.Tag.Get("meaning"))
	default:
		*into = NewSecret(value)
	}
}
