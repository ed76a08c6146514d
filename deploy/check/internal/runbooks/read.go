// Package runbooks holds the operator's runbooks to what they say: each has its parts, each is found from the index, and each
// of their commands is run as it stands, as the operator of a running fleet.
package runbooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Index is the file that leads to all others.
const Index = "README.md"

// Command is a line of a block of commands.
type Command struct {
	Line  int    // of the file, from 1
	Text  string // as it stands
	Codes []int  // the exit codes that it may end with: 0, unless its comment says others
}

// Runbook is one page.
type Runbook struct {
	Name     string    // of the file
	Commands []Command // of its blocks
	Named    []Command // those that its sentences only name, such as with an ID that nobody can know beforehand
}

// What whoever was woken, or was asked for something, wants to know, in this order.
var sections = []string{"**Is anything at risk?**", "## First look", "## What to do", "## Over when"}

var (
	exits       = regexp.MustCompile(`\s#.*\bexits (\d+)(?: or (\d+))?\b`)
	placeholder = regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]*)`)
	assignment  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	explained   = regexp.MustCompile("(?m)^\\| `\\$([A-Z][A-Z0-9_]*)`")
	inline      = regexp.MustCompile("`(reconciler\\s[^`]*)`")
	path        = regexp.MustCompile(`^reconciler(?: [a-z]+)*`)
	linked      = regexp.MustCompile(`\]\(([a-z0-9-]+\.md)\)`)
)

// Parse reads a page, and complains of what nobody could follow: no command, a part that is missing, a command of ours where
// no test runs it.
func Parse(name, text string) (Runbook, error) {
	book := Runbook{Name: name, Named: named(text)}
	var errs []error
	complain := func(line int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
	}
	block, begun := "", 0
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && begun > 0:
			begun = 0
		case isFence:
			block, begun = fence, n
		case begun == 0:
			continue
		case block != "sh":
			if ours(line) {
				complain(n, "a command of reconciler in a block %q, where no test runs it: put it into a block sh", block)
			}
		case strings.HasSuffix(strings.TrimSpace(line), `\`):
			complain(n, "a command that goes on in the next line: want one a line")
		case strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#"):
		default:
			book.Commands = append(book.Commands, Command{Line: n, Text: line, Codes: codes(line)})
		}
	}
	if begun > 0 {
		complain(begun, "a block that does not end")
	}
	if len(book.Commands) == 0 {
		complain(1, "no command in a block sh")
	}
	errs = append(errs, inOrder(name, text))
	return book, errors.Join(errs...)
}

// ours says whether a line of a terminal runs the operator's command line, whoever runs it and with which variables.
func ours(line string) bool {
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("|;&()`", r) }) {
		words := strings.Fields(part)
		for len(words) > 0 && (slices.Contains([]string{"$", "#", "sudo", "env", "exec", "time"}, words[0]) || assignment.MatchString(words[0])) {
			words = words[1:]
		}
		if len(words) > 0 && filepath.Base(words[0]) == "reconciler" {
			return true
		}
	}
	return false
}

// named are our commands in a text's sentences, each as one line that asks for the command's help.
func named(text string) []Command {
	var out []Command
	for _, at := range inline.FindAllStringSubmatchIndex(text, -1) {
		line := strings.Join(strings.Fields(text[at[2]:at[3]]), " ")
		out = append(out, Command{Line: 1 + strings.Count(text[:at[2]], "\n"), Text: line, Codes: []int{0}})
	}
	return out
}

// codes are the exit codes that a line's comment names; 0 where it names none.
func codes(line string) []int {
	m := exits.FindStringSubmatch(line)
	if m == nil {
		return []int{0}
	}
	var out []int
	for _, digits := range m[1:] {
		if code, err := strconv.Atoi(digits); err == nil {
			out = append(out, code)
		}
	}
	return out
}

func inOrder(name, text string) error {
	if !strings.HasPrefix(text, "# ") {
		return fmt.Errorf("%s: no title", name)
	}
	for _, s := range sections {
		_, after, ok := strings.Cut(text, s)
		if !ok {
			return fmt.Errorf("%s: no %q, or not in its place", name, s)
		}
		text = after
	}
	return nil
}

// ReadAll reads every page of the folder but the index, in the order of their names.
func ReadAll(dir string) (books []Runbook, index string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, Index))
	if err != nil {
		return nil, "", err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, "", err
	}
	var errs []error
	for _, path := range paths {
		if filepath.Base(path) == Index {
			continue
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		book, err := Parse(filepath.Base(path), string(page))
		books, errs = append(books, book), append(errs, err)
	}
	return books, string(text), errors.Join(errs...)
}

// CheckIndex demands that the index leads to each page and to nothing else, and explains each name that a command uses.
// Settings of the programs are explained by the programs.
func CheckIndex(index string, books []Runbook) error {
	var errs []error
	names := map[string]bool{}
	for _, m := range explained.FindAllStringSubmatch(index, -1) {
		names[m[1]] = true
	}
	there := map[string]bool{}
	for _, b := range books {
		there[b.Name] = true
		if !strings.Contains(index, "]("+b.Name+")") {
			errs = append(errs, fmt.Errorf("%s does not lead to %s", Index, b.Name))
		}
		for _, c := range b.Commands {
			for _, m := range placeholder.FindAllStringSubmatch(c.Text, -1) {
				if !names[m[1]] && !strings.HasPrefix(m[1], "TWINREEL_") {
					errs = append(errs, fmt.Errorf("%s:%d: what is $%s? %s does not say", b.Name, c.Line, m[1], Index))
				}
			}
		}
	}
	for _, m := range linked.FindAllStringSubmatch(index, -1) {
		if !there[m[1]] {
			errs = append(errs, fmt.Errorf("%s leads to %s, which is not there", Index, m[1]))
		}
	}
	return errors.Join(errs...)
}
