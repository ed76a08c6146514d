package settings

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Variable describes one setting.
type Variable struct {
	Name     string `json:"name"`
	Default  string `json:"default"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"` // may be given as a path in Name + "_FILE"
	Meaning  string `json:"meaning"`
}

// Describe returns the settings of the structs, or pointers to structs, in the order of their fields. A variable that
// several of them read is listed once.
func Describe(configs ...any) []Variable {
	var out []Variable
	seen := map[string]bool{}
	for _, c := range configs {
		t := reflect.TypeOf(c)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		walk(reflect.New(t).Elem(), func(f reflect.StructField, v reflect.Value) {
			name := f.Tag.Get("env")
			if seen[name] {
				return
			}
			seen[name] = true
			_, secret := v.Interface().(Secret)
			out = append(out, Variable{
				Name: name, Default: f.Tag.Get("envDefault"), Required: f.Tag.Get("required") != "", Secret: secret,
				Meaning: f.Tag.Get("meaning"),
			})
		}, func(any) {})
	}
	return out
}

// WriteJSON writes the variables as an indented JSON array.
func WriteJSON(w io.Writer, list []Variable) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(list); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

// WriteTable writes the variables as a Markdown table with aligned columns, which people can read as it is.
func WriteTable(w io.Writer, list []Variable) error {
	rows := [][]string{{"variable", "default", "required", "secret", "meaning"}}
	for _, v := range list {
		rows = append(rows, []string{v.Name, v.Default, yes(v.Required), yes(v.Secret), strings.ReplaceAll(v.Meaning, "|", `\|`)})
	}
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	width[len(width)-1] = len("meaning") // nothing stands to the right of it
	rule := make([]string, len(width))
	for i, n := range width {
		rule[i] = strings.Repeat("-", n)
	}
	rows = append(rows[:1], append([][]string{rule}, rows[1:]...)...)
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", width[i], cell)
		}
		b.WriteString("|\n")
	}
	b.WriteString("\nA secret may instead be a path in the same name + `_FILE`; a changed file is read again while the program runs.\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
