package main

import (
	"strings"

	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// operatorEnv is the environment of whoever operates what runs, KEY=value: all that a command of the reconciler needs, the
// key that signs the audit log with it, and nothing of where programs and temporary files are.
func operatorEnv(s *story.Stage) []string {
	var out []string
	for _, line := range s.Fleet.Environ() {
		if strings.HasPrefix(line, "TWINREEL_") || strings.HasPrefix(line, "AWS_") {
			out = append(out, line)
		}
	}
	return append(out, "TWINREEL_AUDIT_KEY="+s.Fleet.AuditKey())
}
