package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A binding is two files for each resource: index.d.ts says what is there and what is required, index.js which of it are
// blocks, lists and sets.
var (
	versionOf  = regexp.MustCompile(`registry\.terraform\.io/providers/hashicorp/[a-z]+/([0-9.]+)/docs`)
	interfaces = regexp.MustCompile(`(?ms)^export interface (\w+) (?:extends [\w.]+ )?\{(.*?)\n\}`)
	property   = regexp.MustCompile(`(?ms)#(\w+) \w+#\w+\}.*?readonly \w+(\??): (.*?);$`)
	classes    = regexp.MustCompile(`(?ms)^export declare class (\w+) extends [\w.]+ \{(.*?)\n\}`)
	getter     = regexp.MustCompile(`(?m)^    get (\w+)\(\): (.+);$`)
	mapGetter  = regexp.MustCompile(`(?m)^    get (\w+)\(\): \{$`)
	functions  = regexp.MustCompile(`(?ms)^function (\w+)ToHclTerraform\(struct\) \{(.*?)\n\}`)
	synthesize = regexp.MustCompile(`(?ms)^    synthesizeHclAttributes\(\) \{(.*?)\n    \}`)
	kind       = regexp.MustCompile(`(?s)(\w+): \{\s+value: .*?isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "(\w+)"`)
	capitals   = regexp.MustCompile(`[A-Z]`)
)

// read takes the types that are this provider's out of its bindings.
func (b bindings) read(ctx context.Context, types []string) (Provider, error) {
	p := Provider{Name: b.provider, Resources: map[string]Block{}}
	folders := map[string]string{"package/lib/provider": ""}
	for _, t := range types {
		if name, ok := strings.CutPrefix(t, b.provider+"_"); ok {
			folders["package/lib/"+strings.ReplaceAll(name, "_", "-")] = t
		}
	}
	files, err := b.from.Files(ctx, func(name string) bool {
		at := strings.LastIndex(name, "/")
		if at < 0 {
			return false
		}
		_, wanted := folders[name[:at]]
		return wanted && (name[at:] == "/index.d.ts" || name[at:] == "/index.js")
	})
	if err != nil {
		return Provider{}, err
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		declared, code := files[folder+"/index.d.ts"], files[folder+"/index.js"]
		if declared == nil || code == nil {
			return Provider{}, fmt.Errorf("it has no resource %s", folders[folder])
		}
		s := parse(string(declared), string(code))
		if folders[folder] == "" {
			if p.Config, err = s.block(b.class, b.class+"Config", s.own); err != nil {
				return Provider{}, err
			}
			p.Version = s.version
			continue
		}
		if p.Resources[folders[folder]], err = s.resource(folders[folder]); err != nil {
			return Provider{}, fmt.Errorf("%s: %w", folders[folder], err)
		}
	}
	return p, nil
}

// source is one resource's binding, taken apart.
type source struct {
	version    string
	interfaces map[string][]declared        // what may be configured
	getters    map[string]map[string]string // class, then name, to type: also what only the provider sets
	kinds      map[string]map[string]shape  // structure, then name
	own        map[string]shape             // of the resource itself
	class      string                       // the resource's
}

type declared struct {
	name     string
	required bool
	kind     string // in the bindings' language
}

type shape struct {
	block        bool
	kind, holder string
}

func parse(declaration, code string) source {
	s := source{interfaces: map[string][]declared{}, getters: map[string]map[string]string{}, kinds: map[string]map[string]shape{}}
	if m := versionOf.FindStringSubmatch(declaration); m != nil {
		s.version = m[1]
	}
	for _, m := range interfaces.FindAllStringSubmatch(declaration, -1) {
		var list []declared
		for _, p := range property.FindAllStringSubmatch(m[2], -1) {
			list = append(list, declared{p[1], p[2] == "", strings.Join(strings.Fields(p[3]), " ")})
		}
		s.interfaces[m[1]] = list
	}
	for _, m := range classes.FindAllStringSubmatch(declaration, -1) {
		s.getters[m[1]] = map[string]string{}
		for _, g := range getter.FindAllStringSubmatch(m[2], -1) {
			s.getters[m[1]][snake(g[1])] = g[2]
		}
		for _, g := range mapGetter.FindAllStringSubmatch(m[2], -1) {
			s.getters[m[1]][snake(g[1])] = "map"
		}
		if strings.Contains(m[2], "tfResourceType") {
			s.class = m[1]
		}
	}
	for _, m := range functions.FindAllStringSubmatch(code, -1) {
		s.kinds[m[1]] = shapes(m[2])
	}
	if m := synthesize.FindStringSubmatch(code); m != nil {
		s.own = shapes(m[1])
	}
	return s
}

func shapes(text string) map[string]shape {
	out := map[string]shape{}
	for _, m := range kind.FindAllStringSubmatch(text, -1) {
		out[m[1]] = shape{m[2] == "true", m[3], m[4]}
	}
	return out
}

func snake(camel string) string {
	return strings.ToLower(capitals.ReplaceAllString(camel, "_$0"))
}

// resource is what a resource's own class and its configuration have together.
func (s source) resource(name string) (Block, error) {
	if s.class == "" {
		return Block{}, errors.New("the binding declares no resource")
	}
	b, err := s.block(s.class, s.class+"Config", s.own)
	b.Name = name
	return b, err
}

// block puts together what class tells and what configuration takes.
func (s source) block(class, configuration string, known map[string]shape) (Block, error) {
	list, ok := s.interfaces[configuration]
	if !ok {
		return Block{}, fmt.Errorf("the binding has no %s", configuration)
	}
	var b Block
	seen := map[string]bool{}
	for _, d := range list {
		k, ok := known[d.name]
		if !ok {
			return Block{}, fmt.Errorf("nothing says what %s.%s is", configuration, d.name)
		}
		seen[d.name] = true
		if k.block {
			inner := strings.TrimSuffix(k.holder, "List")
			if _, ok := s.interfaces[inner]; !ok {
				inner = k.holder
			}
			child, err := s.block(inner+"OutputReference", inner, s.kinds[strings.ToLower(inner[:1])+inner[1:]])
			if err != nil {
				return Block{}, err
			}
			child.Name, child.Nesting, child.One = d.name, map[string]string{"list": "list", "set": "set", "struct": "single"}[k.kind], !strings.Contains(d.kind, "[]")
			b.Blocks = append(b.Blocks, child)
			continue
		}
		t, err := typed(k)
		if err != nil {
			return Block{}, fmt.Errorf("%s.%s: %w", configuration, d.name, err)
		}
		b.Attributes = append(b.Attributes, Attribute{Name: d.name, Type: t, Required: d.required, Optional: !d.required})
	}
	for _, name := range slices.Sorted(maps.Keys(s.getters[class])) {
		if seen[name] || seen[strings.TrimSuffix(name, "_input")] || name == "internal_value" {
			continue
		}
		if a, ok := s.told(name, s.getters[class][name]); ok {
			b.Attributes = append(b.Attributes, a)
		}
	}
	return b, nil
}

// told is an attribute that only the provider sets.
func (s source) told(name, kind string) (Attribute, bool) {
	switch kind {
	case "string", "number":
		return Attribute{Name: name, Type: kind}, true
	case "cdktf.IResolvable", "boolean | cdktf.IResolvable":
		return Attribute{Name: name, Type: "bool"}, true
	case "string[]":
		return Attribute{Name: name, Type: "list string"}, true
	case "map", "cdktf.StringMap":
		return Attribute{Name: name, Type: "map string"}, true
	}
	element, isList := strings.CutSuffix(kind, "List")
	if !isList {
		return Attribute{}, false
	}
	a := Attribute{Name: name, Type: "objects"}
	for _, field := range slices.Sorted(maps.Keys(s.getters[element+"OutputReference"])) {
		if inner, ok := s.told(field, s.getters[element+"OutputReference"][field]); ok && inner.Type != "objects" && field != "internal_value" {
			a.Fields = append(a.Fields, inner)
		}
	}
	return a, len(a.Fields) > 0
}

// typed is the type of an attribute that is configured.
func typed(k shape) (string, error) {
	scalar := map[string]string{"string": "string", "number": "number", "boolean": "bool"}
	switch k.kind {
	case "simple":
		if t, ok := scalar[k.holder]; ok {
			return t, nil
		}
	case "list", "set":
		if t, ok := scalar[strings.TrimSuffix(k.holder, "List")]; ok {
			return k.kind + " " + t, nil
		}
	case "map":
		if t, ok := scalar[strings.TrimSuffix(k.holder, "Map")]; ok {
			return "map " + t, nil
		}
	}
	return "", fmt.Errorf("no type is known for %s of %s", k.kind, k.holder)
}
