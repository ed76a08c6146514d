package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/reconciler/internal/doctor"
)

// verdicts are those of a run of doctor, by check.
func verdicts(t *testing.T, r result) map[string]doctor.Check {
	t.Helper()
	out := map[string]doctor.Check{}
	for _, c := range decode[[]doctor.Check](t, r.stdout) {
		out[c.Name] = c
	}
	return out
}

func TestDoctorSaysOfEachPartWhatIsMissingAndEndsWith3(t *testing.T) {
	b := provisioned(t)
	r := b.wants(3, " fail, ", "doctor", "-o", "json")
	all := verdicts(t, r)
	for name, want := range map[string]doctor.Verdict{
		"run.settings": doctor.Fail, "nats.streams": doctor.Pass, "redis.eviction": doctor.Pass, "primary.settings": doctor.Fail,
		"backup.settings": doctor.Fail, "webhooks.secret": doctor.Unknown, "worker-primary.rights": doctor.Unknown,
	} {
		if all[name].Verdict != want {
			t.Errorf("%s: %+v, want %s", name, all[name], want)
		}
	}
	if found := all["primary.settings"].Found; !strings.Contains(found, "TWINREEL_S3_BUCKET") || strings.Contains(found, "AZURE") {
		t.Errorf("primary: %s", found)
	}
	if r := b.wants(3, "checks:", "doctor"); !strings.HasPrefix(r.stdout, "fail     run.settings") || !strings.Contains(r.stdout, "\n         mend it    ") {
		t.Errorf("for people:\n%s", r.stdout)
	}
}

// What one part refuses or does not answer must not keep the others from being looked at.
func TestDoctorGoesOnWhereAPartIsAway(t *testing.T) {
	b := provisioned(t)
	b.env["TWINREEL_NATS_USER"] = account + "-ingress"
	b.env["TWINREEL_REDIS_URL"] = "redis://" + nowhere + "/0"
	b.env["TWINREEL_WEBHOOK_SECRET"] = "hunter2"
	b.env["TWINREEL_PLATFORM_API_URL"] = "http://" + nowhere
	all := verdicts(t, b.wants(3, "", "doctor", "-o", "json"))
	for name, words := range map[string]string{
		"nats.reachable": "may not subscribe", "redis.reachable": "connection refused", "webhooks.secret": "the weakest", "platform.reachable": "does not answer",
	} {
		if c := all[name]; c.Verdict != doctor.Fail || !strings.Contains(c.Found, words) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, there := all["nats.streams"]; there {
		t.Error("it judges streams that it cannot see")
	}
}

func TestDoctorRefusesEnvironmentsThatItCannotRead(t *testing.T) {
	b := newBed(t)
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, []byte("no variable"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.wants(2, "want ROLE=FILE", "doctor", "--env", "worker-primary")
	b.wants(2, `--env "nobody"`, "doctor", "--env", "nobody=x")
	b.wants(2, "own environment", "doctor", "--env", "reconciler="+path)
	b.wants(2, `--as "nobody"`, "doctor", "--as", "nobody")
	b.wants(2, "leave --env out", "doctor", "--as", "worker-backup", "--env", "worker-primary="+path)
	b.wants(1, "line 1: want NAME=value", "doctor", "--env", "worker-primary="+path)
	b.wants(1, "no such file", "doctor", "--env", "worker-primary="+path+"x")
}

func TestWebhookRegisterRefusesWhatItMustNotRegister(t *testing.T) {
	const where = "https://hooks.example.com/api/v1/webhooks/recording-complete"
	for args, words := range map[string]string{
		"": "--url: want the address",
		"--url " + where + " --event RECORDING_STARTED --yes": "neither a media link nor the final duration",
		"--url http://hooks.example.com/x --yes":              "want https",
		"--url " + where + " --header X --yes":                "NAME=VALUE",
		"--url " + where:                                      "want --yes",
		"--url " + where + " --yes":                           "TWINREEL_PLATFORM_API_URL: is required",
	} {
		r := runWith(t, nil, append([]string{"webhook", "register"}, strings.Fields(args)...)...)
		if r.code != 2 || !strings.Contains(r.stderr, words) || r.stdout != "" {
			t.Errorf("%q: got %+v, want %q", args, r, words)
		}
	}
	if r := runWith(t, nil, "webhook", "show"); r.code != 2 || !strings.Contains(r.stderr, "TWINREEL_PLATFORM_TOKEN: is required") {
		t.Errorf("got %+v", r)
	}
}
