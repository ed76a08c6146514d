package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

// maxFile bounds the file of further sources, in bytes.
const maxFile = 1 << 20

// source is one source of the file, as the workers use it. Form and meaning of the file are those of
// ingress/internal/config/sources.schema.json, which ingress holds it against word for word; a worker takes its own fields
// from it, and refuses what it does not know.
type source struct {
	Name       string   `yaml:"name"`
	Resolver   string   `yaml:"resolver"`
	Token      string   `yaml:"token"`
	TokenFile  string   `yaml:"token_file"`
	TokenHosts []string `yaml:"token_hosts"`

	// Ingress's own.
	Scheme      string   `yaml:"scheme"`
	Secrets     []string `yaml:"secrets"`
	SecretFiles []string `yaml:"secret_files"`

	secret settings.Secret
}

// further reads the sources that the file names; none when it is unset. The error joins all that is wrong, one error a
// problem, each naming the file, and the source and field where there is one; it quotes no value.
func (c *Config) further(list ...settings.Option) ([]source, error) {
	if c.SourcesFile == "" {
		return nil, nil
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", c.SourcesFile, fmt.Sprintf(format, args...))
	}
	b, err := read(c.SourcesFile)
	if err != nil {
		return nil, wrong("cannot be read: %v", err)
	}
	var file struct {
		Sources []source `yaml:"sources"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, wrong("does not have the form of sources.example.yaml") // the decoder's own words quote values
	}
	var problems []error
	for i := range file.Sources {
		s := &file.Sources[i]
		if err := s.check(list); err != nil {
			problems = append(problems, wrong("source %d (%.40s), %v", i+1, s.Name, err))
		}
	}
	return file.Sources, errors.Join(problems...)
}

// check holds a source against the rules, and reads its token.
func (s *source) check(list []settings.Option) error {
	if err := event.CheckSource(s.Name); err != nil {
		return fmt.Errorf("field name: %w", err)
	}
	if s.Resolver != "" {
		if err := checkTemplate(s.Resolver); err != nil {
			return fmt.Errorf("field resolver: %w", err)
		}
	}
	switch {
	case s.Token != "" && s.TokenFile != "":
		return errors.New("field token: is set together with token_file; set one of them")
	case s.TokenFile != "":
		secret, err := settings.SecretFile("TWINREEL_SOURCES_FILE, source "+s.Name+", field token_file", s.TokenFile, list...)
		if err != nil {
			return fmt.Errorf("field token_file: %w", err)
		}
		s.secret = secret
	default:
		s.secret = settings.NewSecret(s.Token)
	}
	return nil
}

// account is what the source's platform is asked with: what it has of its own, else what the environment sets up for all.
// Its own resolver never gets another's token.
func (s *source) account(general account) account {
	acc := general.of(s.Name)
	if s.Resolver != "" {
		acc.resolver, acc.ask = s.Resolver, fixedBearer(s.secret)
	}
	if s.secret.IsSet() {
		acc.media, acc.hosts = fixedBearer(s.secret), lower(s.TokenHosts)
	}
	return acc
}

// read reads a file of at most maxFile bytes. Its error does not name it.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer func() { _ = f.Close() }()
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err == nil && len(b) <= maxFile {
			return b, nil
		}
	}
	var p *fs.PathError
	switch {
	case errors.As(err, &p):
		return nil, p.Err
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("it is longer than %v", settings.Bytes(maxFile))
}

// trimmed splits what may be separated by blanks.
func trimmed(list []string) []string { return strings.Fields(strings.Join(list, " ")) }
