package single

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Unit is a systemd unit with its drop-ins: section, key, the values in order.
type Unit map[string]map[string][]string

// Values are what a list setting comes to: an empty assignment takes back all before it, as systemd has it. ok tells whether
// the key is there at all, since "empty" and "not set" differ for what a unit is allowed.
func (u Unit) Values(section, key string) (list []string, ok bool) {
	for _, v := range u[section][key] {
		ok = true
		if v == "" {
			list = nil
			continue
		}
		list = append(list, v)
	}
	return list, ok
}

// Value is what a setting with one value comes to: the last one, "" where there is none.
func (u Unit) Value(section, key string) string {
	list := u[section][key]
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// Environment are the unit's Environment= lines, by name.
func (u Unit) Environment() map[string]string {
	out := map[string]string{}
	list, _ := u.Values("Service", "Environment")
	for _, line := range list {
		name, value, _ := strings.Cut(line, "=")
		out[name] = value
	}
	return out
}

// Credentials are the unit's LoadCredential= lines: the credential's name, the file that it is read from.
func (u Unit) Credentials() map[string]string {
	out := map[string]string{}
	list, _ := u.Values("Service", "LoadCredential")
	for _, line := range list {
		name, file, _ := strings.Cut(line, ":")
		out[name] = file
	}
	return out
}

// add reads a unit's file, or a drop-in, on top of what is there.
func (u Unit) add(text string) error {
	section := ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			if u[section] == nil {
				u[section] = map[string][]string{}
			}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				return fmt.Errorf("line %d: want KEY=value in a section", n+1)
			}
			u[section][strings.TrimSpace(key)] = append(u[section][strings.TrimSpace(key)], strings.TrimSpace(value))
		}
	}
	return nil
}

// loadUnit reads a service's unit and the drop-ins that systemd would read for it: those of its prefix and its own, together
// in the order of their names.
func loadUnit(dir, name string) (Unit, error) {
	files := []string{filepath.Join(dir, name)}
	prefix, _, _ := strings.Cut(name, "-")
	var dropins []string
	for _, d := range []string{prefix + "-.service.d", name + ".d"} {
		found, err := filepath.Glob(filepath.Join(dir, d, "*.conf"))
		if err != nil {
			return nil, err
		}
		dropins = append(dropins, found...)
	}
	slices.SortStableFunc(dropins, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	u := Unit{}
	for _, file := range append(files, dropins...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("unit %s: %w", name, err)
		}
		if err := u.add(string(text)); err != nil {
			return nil, fmt.Errorf("unit %s: %s: %w", name, file, err)
		}
	}
	return u, nil
}
