package readme_test

import (
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/readme"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestTheTablesAreWhatTheProgramsSay(t *testing.T) {
	bin := testenv.Need(t, testenv.Bin)
	root, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	stale, err := readme.Update(t.Context(), root, bin, tools.Programs(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stale {
		t.Errorf("%s: it is not what the program says; run `make settings`", file)
	}
}

func TestReplaceTouchesOnlyWhatIsBetweenTheMarkers(t *testing.T) {
	const text = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb <!-- y:begin --> c <!-- y:end -->\n"
	got, err := readme.Replace(text, "x", "new\n")
	if want := "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb <!-- y:begin --> c <!-- y:end -->\n"; err != nil || got != want {
		t.Errorf("got %q %v", got, err)
	}
	if again, err := readme.Replace(got, "x", "new\n"); err != nil || again != got {
		t.Errorf("a second time: %q %v", again, err)
	}
	if _, err := readme.Replace(text, "z", ""); err == nil {
		t.Error("missing markers go unnoticed")
	}
}
