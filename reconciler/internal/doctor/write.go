package doctor

import (
	"fmt"
	"io"
	"strings"
)

// width is how many characters a line of Write's has at most, words that are longer left aside.
const width = 100

// Write writes the checks for people: a line or two for each; under what is not as it should be, what should be, why that
// matters, and how to mend it.
func Write(w io.Writer, all []Check) error {
	longest := 0
	for _, c := range all {
		longest = max(longest, len(c.Name))
	}
	var b strings.Builder
	for _, c := range all {
		paragraph(&b, fmt.Sprintf("%-9s%-*s", c.Verdict, longest+2, c.Name), c.Found)
		if c.Verdict == Pass {
			continue
		}
		const indent = "         "
		paragraph(&b, indent+"should be  ", c.What)
		paragraph(&b, indent+"because    ", c.Why)
		if c.Mend != "" {
			paragraph(&b, indent+"mend it    ", c.Mend)
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the checks: %w", err)
	}
	return nil
}

// paragraph writes text behind a first line's beginning, wrapped, and indented as far.
func paragraph(b *strings.Builder, begin, text string) {
	indent := len(begin)
	b.WriteString(begin)
	column := indent
	for n, word := range strings.Fields(text) {
		length := len([]rune(word))
		switch {
		case n == 0:
		case column+1+length > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += length
	}
	b.WriteString("\n")
}
