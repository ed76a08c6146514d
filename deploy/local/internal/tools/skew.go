package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SkewVariable is the environment variable by which a program that BuildSkewed built is told how many seconds its clock
// is ahead.
const SkewVariable = "CHAOS_CLOCK_AHEAD"

// skewCode is added to the standard library's package time.
const skewCode = `
// clockAhead is by how many seconds this program's clock is wrong, as the environment says.
var clockAhead = func() (n int64) {
	text, _ := syscall.Getenv("` + SkewVariable + `")
	negative := false
	for i := 0; i < len(text); i++ {
		if text[i] == '-' {
			negative = true
		} else {
			n = n*10 + int64(text[i]-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}()
`

// BuildSkewed builds every program, otherwise as Build does, with a standard library whose time.Now is wrong by as many
// seconds as the environment says, and returns their folder. Go's programs ask the kernel for the time without libc, so
// nothing can be put between from outside; the compiler's -overlay replaces one file of the library.
func (t Tools) BuildSkewed(ctx context.Context) (string, error) {
	unlock, err := t.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := t.cache("skewed")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the skewed programs: %w", err)
	}
	overlay, err := skewOverlay(ctx, dir)
	if err != nil {
		return "", err
	}
	var errs []error
	for _, name := range Programs() {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-overlay", overlay, "-o", filepath.Join(dir, name), ".")
		cmd.Dir = filepath.Join(t.Root, name)
		if err := run(cmd); err != nil {
			errs = append(errs, fmt.Errorf("build %s with a skewed clock: %w", name, err))
		}
	}
	return dir, errors.Join(errs...)
}

// skewOverlay writes the changed file of the library and the description that -overlay takes, and returns the latter.
func skewOverlay(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("ask where Go's library is: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("read Go's library: %w", err)
	}
	const now = "sec, nsec, mono := runtimeNow()\n"
	if bytes.Count(text, []byte(now)) != 1 || bytes.Count(text, []byte("\nimport (\n")) != 1 {
		return "", fmt.Errorf("%s is not as this expects it: adapt skewOverlay to this version of Go", original)
	}
	text = bytes.Replace(text, []byte(now), []byte(now+"\tsec += clockAhead\n"), 1)
	text = bytes.Replace(text, []byte("\nimport (\n"), []byte("\nimport (\n\t\"syscall\"\n"), 1)
	changed := filepath.Join(dir, "time.go")
	description, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, errors.Join(os.WriteFile(changed, append(text, skewCode...), 0o644), os.WriteFile(file, description, 0o644))
}
