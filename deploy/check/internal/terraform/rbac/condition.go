package rbac

import (
	"fmt"
	"regexp"
	"strings"
)

// tokens of a condition: parentheses, connectives, ActionMatches{'…'}, and comparisons of the blob's path.
var tokens = regexp.MustCompile(`^\s*(\(|\)|!|AND\b|OR\b|ActionMatches\{'[^']*'\}|@Resource\[[^\]]*\]\s+\w+\s+'[^']*')`)

var (
	matches  = regexp.MustCompile(`^ActionMatches\{'(.*)'\}$`)
	compares = regexp.MustCompile(`^@Resource\[(.*)\]\s+(\w+)\s+'(.*)'$`)
)

const blobPath = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path"

// condition evaluates a condition; none holds always.
func condition(text string, r Request) (bool, error) {
	if text == "" {
		return true, nil
	}
	p := &parser{rest: text, request: r}
	holds := p.either()
	if p.err == nil && strings.TrimSpace(p.rest) != "" {
		p.err = fmt.Errorf("nobody has said what %q means", p.rest)
	}
	return holds, p.err
}

type parser struct {
	rest    string
	request Request
	err     error
}

// next takes a token; peek only looks.
func (p *parser) next() string {
	t := p.peek()
	if at := strings.Index(p.rest, t); t != "" && at >= 0 {
		p.rest = p.rest[at+len(t):]
	}
	return t
}

func (p *parser) peek() string {
	m := tokens.FindStringSubmatch(p.rest)
	if m == nil {
		return ""
	}
	return m[1]
}

// either is a chain of OR; AND binds closer.
func (p *parser) either() bool {
	holds := p.both()
	for p.err == nil && p.peek() == "OR" {
		p.next()
		more := p.both()
		holds = holds || more
	}
	return holds
}

func (p *parser) both() bool {
	holds := p.one()
	for p.err == nil && p.peek() == "AND" {
		p.next()
		more := p.one()
		holds = holds && more
	}
	return holds
}

func (p *parser) one() bool {
	t := p.next()
	switch {
	case t == "!":
		return !p.one()
	case t == "(":
		holds := p.either()
		if p.next() != ")" && p.err == nil {
			p.err = fmt.Errorf("a parenthesis is not closed before %q", p.rest)
		}
		return holds
	case matches.MatchString(t):
		return glob(strings.ToLower(matches.FindStringSubmatch(t)[1]), strings.ToLower(p.request.Action))
	}
	m := compares.FindStringSubmatch(t)
	switch {
	case len(m) != 4, m[1] != blobPath:
	case m[2] == "StringLike":
		return glob(m[3], p.request.Path)
	case m[2] == "StringStartsWith":
		return strings.HasPrefix(p.request.Path, m[3])
	case m[2] == "StringEquals":
		return p.request.Path == m[3]
	}
	if p.err == nil {
		p.err = fmt.Errorf("nobody has said what %q means", t+p.rest)
	}
	return false
}
