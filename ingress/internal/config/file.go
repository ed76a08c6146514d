package config

import (
	"bytes"
	_ "embed" // the schema
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

//go:embed sources.schema.json
var schemaJSON []byte

// maxSourcesFile bounds the file of further sources.
const maxSourcesFile = 1 << 20

// entry is one source in the file. Resolver and tokens are the workers'; the schema knows them too.
type entry struct {
	Name        string   `yaml:"name"`
	Scheme      Scheme   `yaml:"scheme"`
	Secrets     []string `yaml:"secrets"`
	SecretFiles []string `yaml:"secret_files"`
}

// further reads the sources that the file names; none when it is unset. The error joins all that is wrong, one error a
// problem, each naming the file, and the source and field where there is one.
func (w *Webhook) further(list ...settings.Option) ([]Source, error) {
	if w.SourcesFile == "" {
		return nil, nil
	}
	b, err := readFile(w.SourcesFile)
	if err != nil {
		return nil, err
	}
	f := sourcesFile{path: w.SourcesFile, allowUnsigned: w.AllowUnsigned, options: list}
	if err := f.parse(b); err != nil {
		return nil, err
	}
	out := f.sources()
	return out, errors.Join(f.problems...)
}

// readFile reads a file of at most maxSourcesFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, unnamed(err))
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSourcesFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, unnamed(err))
	}
	if len(b) > maxSourcesFile {
		return nil, fmt.Errorf("%s: is longer than %v", path, settings.Bytes(maxSourcesFile))
	}
	return b, nil
}

// sourcesFile is one reading of the file.
type sourcesFile struct {
	path          string
	allowUnsigned bool
	options       []settings.Option
	entries       []entry
	problems      []error
}

func (f *sourcesFile) problem(where, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s: %s: %s", f.path, where, fmt.Sprintf(format, args...)))
}

// parse reads the YAML and holds it against the schema.
func (f *sourcesFile) parse(b []byte) error {
	var tree any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return fmt.Errorf("%s: is not YAML: %s", f.path, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("%s: a key is not text", f.path)
	}
	if err := f.validate(asJSON, tree); err != nil {
		return err
	}
	var file struct {
		Sources []entry `yaml:"sources"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		return fmt.Errorf("%s: does not have the form of sources.example.yaml", f.path)
	}
	f.entries = file.Sources
	return nil
}

// validate returns all that the schema has against the document.
func (f *sourcesFile) validate(asJSON []byte, tree any) error {
	schema, err := compile()
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(doc); errors.As(err, &invalid) {
		f.explain(invalid, tree, message.NewPrinter(language.English))
	} else if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return errors.Join(f.problems...)
}

func compile() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("read the built-in schema of sources: %w", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sources.schema.json", doc); err != nil {
		return nil, fmt.Errorf("read the built-in schema of sources: %w", err)
	}
	return c.Compile("sources.schema.json")
}

// explain turns the innermost causes of a validation error into problems.
func (f *sourcesFile) explain(e *jsonschema.ValidationError, tree any, p *message.Printer) {
	if len(e.Causes) == 0 {
		f.problem(place(e.InstanceLocation, tree), "%s", e.ErrorKind.LocalizedString(p))
		return
	}
	for _, c := range e.Causes {
		f.explain(c, tree, p)
	}
}

// place names a location in the document: the source by number and name, and the field.
func place(at []string, tree any) string {
	if len(at) < 2 {
		return "top level"
	}
	where := "source " + at[1]
	root, _ := tree.(map[string]any)
	list, _ := root["sources"].([]any)
	if i, err := strconv.Atoi(at[1]); err == nil && i < len(list) {
		where = fmt.Sprintf("source %d", i+1)
		if s, ok := list[i].(map[string]any); ok {
			if name, ok := s["name"].(string); ok {
				where += fmt.Sprintf(" (%.40s)", name)
			}
		}
	}
	if len(at) > 2 {
		where += ", field " + strings.Join(at[2:], ".")
	}
	return where
}

// sources holds the entries against the rules that no schema can express.
func (f *sourcesFile) sources() []Source {
	var out []Source
	seen := map[string]bool{event.DefaultSource: true}
	for i, e := range f.entries {
		where := func(field string) string { return fmt.Sprintf("source %d (%s), field %s", i+1, e.Name, field) }
		if err := event.CheckSource(e.Name); err != nil {
			f.problem(where("name"), "%v", err)
		}
		if seen[e.Name] {
			f.problem(where("name"), "there is another source of this name")
		}
		seen[e.Name] = true
		if e.Scheme == "" {
			e.Scheme = HubSHA256
		}
		if e.Scheme == None && !f.allowUnsigned {
			f.problem(where("scheme"), "none is taken only together with TWINREEL_ALLOW_UNSIGNED=true")
		}
		out = append(out, NewSource(e.Name, e.Scheme, f.secrets(e, where)...))
	}
	return out
}

// secrets reads the secrets of one source.
func (f *sourcesFile) secrets(e entry, where func(string) string) []settings.Secret {
	var out []settings.Secret
	if e.Scheme != None && len(e.Secrets)+len(e.SecretFiles) == 0 {
		f.problem(where("secrets"), "are missing; give secrets or secret_files")
	}
	for _, text := range e.Secrets {
		out = append(out, settings.NewSecret(text))
		if err := checkSecrets(e.Scheme, out[len(out)-1].Lines()); err != nil {
			f.problem(where("secrets"), "%v", err)
		}
	}
	for _, path := range e.SecretFiles {
		s, err := settings.SecretFile("TWINREEL_SOURCES_FILE, "+where("secret_files"), path, f.options...)
		if err == nil {
			err = checkSecrets(e.Scheme, s.Lines())
		}
		if err != nil {
			f.problem(where("secret_files"), "%v", err)
			continue
		}
		out = append(out, s)
	}
	return out
}

// lines splits a joined error into one text a problem.
func lines(err error) []string { return strings.Split(err.Error(), "\n") }

// unnamed takes the path, which is named already, out of a file's error.
func unnamed(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
