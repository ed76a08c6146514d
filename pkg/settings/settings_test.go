package settings_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/settings"
)

type Inner struct {
	Size settings.Bytes `env:"T_SIZE" envDefault:"8MiB" meaning:"a size"`
	Wait time.Duration  `env:"T_WAIT" envDefault:"25s" meaning:"a wait"`
}

func (i *Inner) Check() []settings.Problem {
	if i.Size < 1024 {
		return []settings.Problem{{Variable: "T_SIZE", Text: "want at least 1KiB"}}
	}
	return nil
}

type sample struct {
	Inner
	Nested struct {
		Names []string `env:"T_NAMES" meaning:"a list"`
		Ratio float64  `env:"T_RATIO" envDefault:"0.5" meaning:"a ratio"`
	}
	Must   string          `env:"T_MUST" required:"true" meaning:"must be there"`
	Count  int             `env:"T_COUNT" envDefault:"16" meaning:"a count | of things"`
	On     bool            `env:"T_ON" envDefault:"false" meaning:"a switch"`
	Secret settings.Secret `env:"T_SECRET" required:"true" meaning:"a secret"`
	Other  settings.Secret `env:"T_OTHER" required:"checked" meaning:"another secret"`
	Plain  map[string]int  // no setting
}

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func Example() {
	var c struct {
		Concurrency int `env:"TWINREEL_CONCURRENCY" envDefault:"16" meaning:"recordings in flight"`
	}
	if err := settings.Load(&c, os.LookupEnv); err != nil {
		panic(err)
	}
	_ = settings.WriteTable(os.Stdout, settings.Describe(c))
	// Output:
	// | variable             | default | required | secret | meaning |
	// | -------------------- | ------- | -------- | ------ | ------- |
	// | TWINREEL_CONCURRENCY | 16      |          |        | recordings in flight |
	//
	// A secret may instead be a path in the same name + `_FILE`; a changed file is read again while the program runs.
}

func TestLoadFillsNestedAndEmbeddedFieldsAndDefaults(t *testing.T) {
	var c sample
	err := settings.Load(&c, lookup(map[string]string{
		"T_SIZE": "256KiB", "T_NAMES": " a, b ,,c", "T_MUST": "here", "T_ON": "true", "T_SECRET": "s3cret", "T_COUNT": "", "T_RATIO": "0.25",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != 256<<10 || c.Wait != 25*time.Second || c.Must != "here" || !c.On || c.Count != 16 || c.Nested.Ratio != 0.25 {
		t.Errorf("got %+v", c)
	}
	if want := []string{"a", "b", "c"}; !reflect.DeepEqual(c.Nested.Names, want) {
		t.Errorf("list: got %q, want %q", c.Nested.Names, want)
	}
	if c.Secret.Get() != "s3cret" || c.Other.IsSet() {
		t.Error("secrets were not read as they are set")
	}
}

func TestLoadReportsAllProblemsAtOnceSortedByVariable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var c sample
	err := settings.Load(&c, lookup(map[string]string{
		"T_SIZE": "12", "T_WAIT": "soon", "T_COUNT": "many", "T_ON": "perhaps", "T_RATIO": "half",
		"T_SECRET": "hunter2", "T_SECRET_FILE": missing, "T_OTHER_FILE": missing,
	}))
	var problems settings.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want Problems", err)
	}
	want := []string{
		`T_COUNT: want a whole number, got "many"`,
		`T_MUST: is required: must be there`,
		`T_ON: want true or false, got "perhaps"`,
		`T_OTHER_FILE: file ` + missing + ` cannot be read: no such file or directory`,
		`T_RATIO: want a number, got "half"`,
		`T_SECRET: is set together with T_SECRET_FILE; set one of them`,
		`T_SIZE: want at least 1KiB`,
		`T_WAIT: want a duration such as 500ms, 25s or 2h, got "soon"`,
	}
	if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestAValueThatCannotBeReadIsJudgedOnce(t *testing.T) {
	var c Inner
	err := settings.Load(&c, lookup(map[string]string{"T_SIZE": "lots"}))
	var problems settings.Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("got %v, want the one problem of reading it", err)
	}
}

func TestALongValueIsNotRepeated(t *testing.T) {
	var c Inner
	pasted := strings.Repeat("secret", 20)
	err := settings.Load(&c, lookup(map[string]string{"T_WAIT": pasted}))
	if err == nil || strings.Contains(err.Error(), "secretsecret") {
		t.Errorf("got %v", err)
	}
}

func TestARequiredSecretIsMissed(t *testing.T) {
	var c struct {
		S settings.Secret `env:"T_S" required:"true" meaning:"of the platform"`
	}
	err := settings.Load(&c, lookup(nil))
	if err == nil || err.Error() != "T_S: is required, or a path in T_S_FILE: of the platform" {
		t.Errorf("got %v", err)
	}
}

func TestBytesReadAndWriteSizes(t *testing.T) {
	for text, want := range map[string]settings.Bytes{
		"0": 0, "1": 1, "1500": 1500, "1KiB": 1024, "256KiB": 256 << 10, "8MiB": 8 << 20, "10GiB": 10 << 30, " 2 GiB ": 2 << 30,
		"8589934591GiB": math.MaxInt64 &^ (1<<30 - 1),
	} {
		var b settings.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: got %d, %v, want %d", text, b, err, want)
		}
		var again settings.Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%q: String %q reads as %d, %v", text, b, again, err)
		}
	}
	for _, text := range []string{"", "-1", "+1", "KiB", "1KB", "1.5MiB", "1e3", "0x10", "8589934592GiB", "9223372036854775808", "1 0"} {
		var b settings.Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, b)
		}
	}
}

func TestDescribeListsInOrderAndOnce(t *testing.T) {
	list := settings.Describe(&sample{}, Inner{})
	var names []string
	for _, v := range list {
		names = append(names, v.Name)
	}
	want := []string{"T_SIZE", "T_WAIT", "T_NAMES", "T_RATIO", "T_MUST", "T_COUNT", "T_ON", "T_SECRET", "T_OTHER"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if got, want := list[7], (settings.Variable{Name: "T_SECRET", Required: true, Secret: true, Meaning: "a secret"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !list[8].Required {
		t.Error("a setting that its struct's Check requires is not described as required")
	}
}

func TestWriteJSONHasTheContractsNames(t *testing.T) {
	var b strings.Builder
	if err := settings.WriteJSON(&b, settings.Describe(struct {
		A int `env:"T_A" envDefault:"1" meaning:"x < y"`
	}{})); err != nil {
		t.Fatal(err)
	}
	want := "[\n  {\n    \"name\": \"T_A\",\n    \"default\": \"1\",\n    \"required\": false,\n    \"secret\": false,\n    \"meaning\": \"x < y\"\n  }\n]\n"
	if b.String() != want {
		t.Errorf("got %s", b.String())
	}
}

func TestWriteTableEscapesColumns(t *testing.T) {
	var b strings.Builder
	if err := settings.WriteTable(&b, settings.Describe(sample{})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `a count \| of things |`) {
		t.Errorf("got\n%s", b.String())
	}
}
