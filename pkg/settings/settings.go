// Package settings reads a program's settings from the environment into structs, and describes them.
//
// A setting is a struct field with tags:
//
//	Concurrency int `env:"TWINREEL_CONCURRENCY" envDefault:"16" meaning:"recordings in flight"`
//
// Nested structs, embedded or named, are walked. `required:"true"` makes an unset variable a problem;
// `required:"checked"` only describes it as required and leaves it to the struct's Check, for what depends on another
// setting. A variable set to nothing counts as unset. Field types are string, bool, int, float64, time.Duration,
// []string (a comma list), Bytes, Secret, and whatever implements encoding.TextUnmarshaler.
//
// Nothing is reported one by one: Load returns all that is wrong at once, by variable name.
package settings

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// fileSuffix is what a secret's variable has when it holds a path instead of the secret.
const fileSuffix = "_FILE"

// maxEcho is the longest value, in bytes, that is repeated in a problem.
const maxEcho = 40

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Variable string // the variable's whole name
	Text     string // what is wanted; never a secret's value
}

// Problems is the error that Load returns: all there is, sorted by variable.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Variable + ": " + one.Text
	}
	return strings.Join(lines, "\n")
}

// Checker is implemented by configuration structs that judge their own values, after all fields have been read.
type Checker interface {
	Check() []Problem
}

// Option changes how Load and SecretFile work.
type Option func(*options)

type options struct {
	warn func(variable, text string)
	now  func() time.Time
}

// OnWarning sets what is called, from any goroutine, when a secret's file could not be read again and its last good
// value stays: once for each change of its state. Text holds no secret.
func OnWarning(f func(variable, text string)) Option {
	return func(o *options) { o.warn = f }
}

// Clock sets the clock that decides when a secret's file is read again.
func Clock(now func() time.Time) Option {
	return func(o *options) { o.now = now }
}

func newOptions(list []Option) options {
	o := options{warn: func(string, string) {}, now: time.Now}
	for _, set := range list {
		set(&o)
	}
	return o
}

// Load fills the struct that into points to from the variables that lookup (os.LookupEnv) finds. The error is a
// Problems. A programming error in the struct itself panics.
func Load(into any, lookup func(string) (string, bool), list ...Option) error {
	root := reflect.ValueOf(into)
	if root.Kind() != reflect.Pointer || root.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("settings.Load: want a pointer to a struct, got %T", into))
	}
	l := loader{lookup: lookup, options: newOptions(list)}
	walk(root.Elem(), l.field, func(any) {})
	wrong := map[string]bool{}
	for _, p := range l.problems {
		wrong[p.Variable] = true
	}
	walk(root.Elem(), func(reflect.StructField, reflect.Value) {}, func(s any) {
		c, ok := s.(Checker)
		if !ok {
			return
		}
		for _, p := range c.Check() { // an embedded struct's Check is seen twice; a value that could not be read is judged already
			if !wrong[p.Variable] && !slices.Contains(l.problems, p) {
				l.problems = append(l.problems, p)
			}
		}
	})
	if len(l.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(a.Variable, b.Variable) })
	return l.problems
}

// walk calls field for every field with an env tag below v, and after a struct's fields done with a pointer to it.
func walk(v reflect.Value, field func(reflect.StructField, reflect.Value), done func(any)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous && !f.IsExported():
			panic("settings: export the embedded " + f.Type.String() + ", or it cannot be read")
		case !f.IsExported():
		case f.Tag.Get("env") != "":
			field(f, v.Field(i))
		case f.Type.Kind() == reflect.Struct:
			walk(v.Field(i), field, done)
		}
	}
	done(v.Addr().Interface())
}

// loader is one run of Load.
type loader struct {
	lookup   func(string) (string, bool)
	options  options
	problems Problems
}

func (l *loader) problem(variable, format string, args ...any) {
	l.problems = append(l.problems, Problem{variable, fmt.Sprintf(format, args...)})
}

// value returns a variable's value, "" when it is unset.
func (l *loader) value(name string) string {
	v, _ := l.lookup(name)
	return v
}

func (l *loader) field(f reflect.StructField, v reflect.Value) {
	name := f.Tag.Get("env")
	if s, ok := v.Addr().Interface().(*Secret); ok {
		l.secret(name, f, s)
		return
	}
	text := l.value(name)
	if text == "" && f.Tag.Get("required") == "true" {
		l.problem(name, "is required: %s", f.Tag.Get("meaning"))
		return
	}
	if err := parse(f, v, text); err != nil {
		l.problem(name, "want %s%s", want(f.Type), echo(text))
	}
}

// parse reads one field, by a struct that has only this field, so that an error can belong to no other.
func parse(f reflect.StructField, v reflect.Value, text string) error {
	one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
	set := map[string]string{}
	if text != "" {
		set[f.Tag.Get("env")] = text
	}
	if err := env.ParseWithOptions(one.Interface(), env.Options{Environment: set}); err != nil {
		return err
	}
	v.Set(one.Elem().Field(0))
	if list, ok := v.Addr().Interface().(*[]string); ok {
		*list = trimmed(*list)
	}
	return nil
}

// trimmed returns list without blank items and without blanks around the others.
func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// want says what a value of type t looks like.
func want(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 25s or 2h"
	case reflect.TypeFor[Bytes]():
		return "a size such as 1048576, 256KiB, 8MiB or 2GiB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "another form"
}

// echo repeats a value that could not be read, unless it is long: then it may be something pasted into the wrong place.
func echo(text string) string {
	if len(text) > maxEcho {
		return fmt.Sprintf(", got %d bytes of something else", len(text))
	}
	return fmt.Sprintf(", got %q", text)
}
