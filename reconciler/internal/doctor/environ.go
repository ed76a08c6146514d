package doctor

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ReadEnvironment reads a program's variables as systemd's EnvironmentFile and `docker run --env-file` have them: NAME=value
// lines, blank lines, lines that begin with #. A value may stand in quotes. Values are in no error.
func ReadEnvironment(r io.Reader) (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewScanner(r)
	const longest = 1 << 20 // bytes of a line
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\"'") {
			return nil, fmt.Errorf("line %d: want NAME=value", n)
		}
		out[name] = unquoted(strings.TrimSpace(value))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	return out, nil
}

// unquoted takes quotes off that stand around all of a value.
func unquoted(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

// Strays lists the variables of a worker's environment that hold credentials of the other cloud.
func Strays(r Role, lookup func(string) (string, bool)) []string {
	foreign := map[Role][]string{
		WorkerPrimary: {
			"TWINREEL_AZURE_ACCOUNT_KEY", "TWINREEL_AZURE_ACCOUNT_KEY_FILE", "TWINREEL_AZURE_SAS_TOKEN", "TWINREEL_AZURE_SAS_TOKEN_FILE",
			"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_PASSWORD",
		},
		WorkerBackup: {
			"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		},
	}
	return slices.DeleteFunc(foreign[r], func(name string) bool { v, _ := lookup(name); return v == "" })
}
