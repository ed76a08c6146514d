package runbooks_test

import (
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/runbooks"
)

// sound is a page with nothing wrong.
const sound = `# A page

**Is anything at risk?** No.

## First look

` + "```sh" + `
reconciler tiers
reconciler dlq show $LETTER
reconciler once --dry-run   # exits 3 while something needs work
` + "```" + `

## What to do

` + "```console" + `
systemctl restart reconciler
kubectl rollout restart deployment/reconciler
` + "```" + `

## Over when

It is.
`

const soundIndex = "[it](a-page.md)\n\n| `$LETTER` | a recording's ID |\n"

// given a page with one thing broken, when it is read, then that is what is complained of.
func TestWhatIsWrittenWrongIsNoticed(t *testing.T) {
	for _, c := range []struct{ name, from, to, says string }{
		{"nothing", "", "", ""},
		{"no command", "```sh", "```text", "no command in a block sh"},
		{"a command of ours in a console", "systemctl restart reconciler", "$ reconciler tiers", `in a block "console"`},
		{"the same, as somebody else and with a variable", "systemctl restart reconciler", "sudo TWINREEL_NATS_USER=x /usr/bin/reconciler provision", `in a block "console"`},
		{"the same, behind another", "systemctl restart reconciler", "systemctl stop reconciler && reconciler tiers", `in a block "console"`},
		{"a command of ours in a block of no kind", "```console\nsystemctl restart reconciler", "```\nreconciler tiers", "where no test runs it"},
		{"a command of two lines", "reconciler tiers\n", "reconciler \\\n  tiers\n", "one a line"},
		{"a block that does not end", "```\n\n## Over when", "\n\n## Over when", "does not end"},
		{"no title", "# A page", "A page", "no title"},
		{"what is at risk left out", "**Is anything at risk?** No.", "", "at risk"},
		{"its end left out", "## Over when", "## The end", `no "## Over when"`},
		{"parts in another order", "**Is anything at risk?** No.\n\n## First look", "## First look\n\n**Is anything at risk?** No.", `no "## First look", or not in its place`},
		{"a name that the index does not explain", "$LETTER", "$ENVELOPE", "what is $ENVELOPE?"},
		{"a name in braces", "$LETTER", "${ENVELOPE}", "what is $ENVELOPE?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(sound, c.from, c.to, 1)
			if c.says != "" && text == sound {
				t.Fatalf("%q is not in the sound page", c.from)
			}
			book, err := runbooks.Parse("a-page.md", text)
			if err == nil {
				err = runbooks.CheckIndex(soundIndex, []runbooks.Runbook{book})
			}
			complains(t, err, c.says)
		})
	}
}

func TestAnIndexThatLeadsAstrayIsNoticed(t *testing.T) {
	book, err := runbooks.Parse("a-page.md", sound)
	if err != nil {
		t.Fatal(err)
	}
	books := []runbooks.Runbook{book}
	complains(t, runbooks.CheckIndex(soundIndex, books), "")
	complains(t, runbooks.CheckIndex(strings.ReplaceAll(soundIndex, "a-page", "another"), books), "does not lead to a-page.md")
	complains(t, runbooks.CheckIndex(soundIndex+"[gone](gone.md)", books), "gone.md, which is not there")
}

func TestAPageThatWasToBeLastAndIsGoneIsNoticed(t *testing.T) {
	books, _ := read(t)
	_, err := runbooks.Ordered(books[:0])
	complains(t, err, "which was to be run last")
	ordered, err := runbooks.Ordered(books)
	complains(t, err, "")
	if end := ordered[len(ordered)-1].Name; end != "erase-a-recording.md" || len(ordered) != len(books) {
		t.Errorf("the last of %d pages is %s", len(ordered), end)
	}
}

// given commands that are wrong, when they are run, then each fails, and those that end as they say do not.
func TestWhatCannotBeRunIsNoticed(t *testing.T) {
	f := operator(t)
	for _, c := range []struct{ name, line, says string }{
		{"a sound one", "reconciler tiers", ""},
		{"a sound one with another end", "reconciler recording show nobody-knows  # exits 1", ""},
		{"one of two ends", "reconciler recording show nobody-knows  # exits 0 or 1", ""},
		{"a command misspelt", "reconciler teirs", "exit code"},
		{"a subcommand misspelt", "reconciler dlq lst", "exit code"},
		{"a flag that there is not", "reconciler dlq list --newest", "exit code 2"},
		{"a program that there is not", "reconsiler tiers", "exit code 127"},
		{"a name without a value", "reconciler recording show $NOBODYS", "NOBODYS"},
		{"another end than it says", "reconciler recording show nobody-knows", "exit code 1, want [0]"},
		{"a good end where a bad one was said", "reconciler tiers  # exits 3 while something is wrong", "exit code 0, want [3]"},
		{"an address that nobody listens at", "curl -sf http://127.0.0.1:9090/nowhere", "exit code 22"},
	} {
		t.Run(c.name, func(t *testing.T) {
			book, err := runbooks.Parse("a-page.md", strings.Replace(sound, "reconciler tiers", c.line, 1))
			if err != nil {
				t.Fatal(err)
			}
			complains(t, f.Run(t.Context(), t.TempDir(), book.Commands[0]), c.says)
		})
	}
}

// given a sentence that names a command, when that is none of ours, then it is noticed, also where the line breaks within it.
func TestACommandThatASentenceMisspellsIsNoticed(t *testing.T) {
	f := operator(t)
	for _, c := range []struct{ name, words, says string }{
		{"a sound one", "reconciler dlq replay --reason R --yes", ""},
		{"one in two lines", "reconciler\nwebhook show", ""},
		{"one with a name", "reconciler once --approve $PLAN", ""},
		{"a command misspelt", "reconciler teirs", "there is no reconciler teirs"},
		{"a subcommand misspelt", "reconciler\ndlq lst", "there is no reconciler dlq lst"},
		{"a flag that there is not", "reconciler dlq list --newest", "exit code 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			book, err := runbooks.Parse("a-page.md", strings.Replace(sound, "It is.", "Run `"+c.words+"`.", 1))
			if err != nil {
				t.Fatal(err)
			}
			if len(book.Named) != 1 {
				t.Fatalf("found %v, want one command", book.Named)
			}
			complains(t, f.Knows(t.Context(), book.Named[0]), c.says)
		})
	}
}

func complains(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("it complains of what is sound: %v", err)
	case says != "" && err == nil:
		t.Errorf("it was accepted; want a complaint with %q", says)
	case says != "" && !strings.Contains(err.Error(), says):
		t.Errorf("it complains %q, want %q", err, says)
	}
}
