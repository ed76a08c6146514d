package layout

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Check returns what is wrong with the graph of one module, one line each, sorted.
func Check(g Graph) []string {
	return sorted(checkBans(g, Bans()), checkDoors(g, Doors()), checkArrows(g, Arrows()), checkModules(g), checkNames(g))
}

// checkBans looks at everything that a package is built from.
func checkBans(g Graph, bans []Ban) (out []string) {
	for _, ban := range bans {
		for _, from := range g.own() {
			if !withinAny(short(from), ban.Who) || withinAny(short(from), ban.Except) {
				continue
			}
			via := g.reach(from, ban.Tests)
			for _, to := range slices.Sorted(maps.Keys(via)) {
				// Who brings it in is enough: not all that comes with it.
				if withinAny(to, ban.Not) && !withinAny(via[to], ban.Not) && to != from {
					out = append(out, fmt.Sprintf("%s must not be built from %s: %s (%s)", short(from), short(to), ban.Why, chain(via, to)))
				}
			}
		}
	}
	return out
}

// checkDoors looks at direct imports, tests included.
func checkDoors(g Graph, doors []Door) (out []string) {
	for _, from := range g.own() {
		if strings.HasPrefix(module(from), "deploy/") {
			continue
		}
		p := g[from]
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, door := range doors {
				if within(to, door.Library) && !withinAny(short(from), door.Open) {
					out = append(out, fmt.Sprintf("%s imports %s: only %s does", short(from), to, strings.Join(door.Open, ", ")))
				}
			}
		}
	}
	return out
}

// checkArrows looks at the direct imports between packages of pkg.
func checkArrows(g Graph, arrows []Arrow) (out []string) {
	allowed := map[string][]string{}
	for i, a := range arrows {
		allowed[a.From] = a.To
		for _, to := range a.To {
			if !slices.ContainsFunc(arrows[:i], func(above Arrow) bool { return above.From == to }) {
				out = append(out, fmt.Sprintf("table of arrows: %s → %s points downwards or at nothing", a.From, to))
			}
		}
	}
	for _, from := range g.own() {
		name, inPkg := strings.CutPrefix(short(from), "pkg/")
		if !inPkg {
			continue
		}
		to, known := allowed[name]
		if !known {
			out = append(out, fmt.Sprintf("pkg/%s has no row in the table of arrows", name))
			continue
		}
		for _, imported := range g[from].Imports {
			if other, ok := strings.CutPrefix(imported, Root+"/pkg/"); ok && !slices.Contains(to, other) {
				out = append(out, fmt.Sprintf("pkg/%s → pkg/%s is not in the table of arrows", name, other))
			}
		}
	}
	return out
}

// checkModules holds modules apart: each imports itself and pkg, tests included; pkg only itself.
func checkModules(g Graph) (out []string) {
	for _, from := range g.own() {
		p := g[from]
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if within(to, Root) && module(to) != module(from) && module(to) != "pkg" {
				out = append(out, fmt.Sprintf("%s imports %s: no module but pkg may be imported by another", short(from), short(to)))
			}
		}
	}
	return out
}

// checkNames looks at packages' names and at the last part of their paths.
func checkNames(g Graph) (out []string) {
	for _, at := range g.own() {
		if slices.Contains(Nameless(), g[at].Name) || slices.Contains(Nameless(), path.Base(at)) {
			out = append(out, fmt.Sprintf("%s: the name says nothing about what is in it", short(at)))
		}
	}
	return out
}

// Stale returns the rows of the tables that no package of the repository gives a meaning to.
func Stale(g Graph) []string {
	var out []string
	guards := func(prefix string) bool {
		return slices.ContainsFunc(g.own(), func(at string) bool { return within(short(at), prefix) })
	}
	for _, ban := range Bans() {
		for _, who := range slices.Concat(ban.Who, ban.Except) {
			if !guards(who) {
				out = append(out, fmt.Sprintf("ban %q: there is no %s", ban.Why, who))
			}
		}
	}
	for _, door := range Doors() {
		for _, open := range door.Open {
			if !guards(open) {
				out = append(out, fmt.Sprintf("door of %s: there is no %s", door.Library, open))
			}
		}
	}
	for _, a := range Arrows() {
		if _, there := g[Root+"/pkg/"+a.From]; !there {
			out = append(out, fmt.Sprintf("table of arrows: there is no pkg/%s", a.From))
		}
	}
	return sorted(out)
}

func sorted(lists ...[]string) []string {
	out := slices.Concat(lists...)
	slices.Sort(out)
	return slices.Compact(out)
}
