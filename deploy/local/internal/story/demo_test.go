package story_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// stage opens a stage that is closed when the test ends.
func stage(t *testing.T) *story.Stage {
	t.Helper()
	bin := testenv.Need(t, testenv.Bin)
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Tools{Root: root, Say: io.Discard}.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Open(t.Context(), story.StageConfig{Set: set, Bin: bin, Env: story.Env(), Platform: story.DemoPlatform()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestTheDemonstrationProvesItsClaim plays the demonstration with fewer and smaller recordings, and then spoils the
// stores, to see that it would have noticed.
func TestTheDemonstrationProvesItsClaim(t *testing.T) {
	s := stage(t)
	var out strings.Builder
	sum, err := story.Play(t.Context(), s, story.NewScreen(&out, false), story.Config{
		Recordings: 20, Largest: 24_000_000, Seed: 5, Forged: 4, Outage: 4 * time.Second, InFlight: 8, Patience: 5 * time.Minute,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	proved := sum.Write(&out)
	t.Log(out.String())
	if !proved {
		t.Fatal("it did not prove its claim")
	}
	spoil(t, s)
	report := readBack(t, s)
	for _, want := range []string{"versions primary recordings/call-001.wav", "unwanted primary recordings/stray.wav"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("of spoilt stores the reader says:\n%s\nwant %q among it", report, want)
		}
	}
}

// spoil overwrites one object and adds another, with the owner's rights.
func spoil(t *testing.T, s *story.Stage) {
	t.Helper()
	a := s.Stack.S3Access
	root := a.Client(a.Root)
	for _, key := range []string{"recordings/call-001.wav", "recordings/stray.wav"} {
		if _, err := root.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &a.Bucket, Key: &key, Body: strings.NewReader("RIFF")}); err != nil {
			t.Fatal(err)
		}
	}
}

// readBack compares both stores with what the platform knows.
func readBack(t *testing.T, s *story.Stage) outside.Report {
	t.Helper()
	report, err := outside.Reader{Stores: stores(t, s.Stack.World()), Parallel: 2}.Compare(t.Context(), outside.FromPlatform(s.Platform))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// stores are both stores of a world, as the reader sees them.
func stores(t *testing.T, w stack.World) []outside.Store {
	t.Helper()
	azure, err := outside.NewAzure(w.Azure.ContainerURL(), w.Azure.ReaderSAS)
	if err != nil {
		t.Fatal(err)
	}
	return []outside.Store{outside.NewS3(w.S3.Endpoint, w.S3.Region, w.S3.Bucket, w.S3.Reader.Access, w.S3.Reader.Secret), azure}
}
