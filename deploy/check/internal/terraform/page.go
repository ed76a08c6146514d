package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// PagePath is the page's file, below the repository.
func PagePath() (string, error) {
	root, err := repo.Root()
	return filepath.Join(root, "deploy", "terraform", "POLICIES.md"), err
}

// CommittedPage is the page as it is in the repository.
func CommittedPage() (string, error) {
	path, err := PagePath()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

const head = `# Who may do what in the stores

Written by ` + "`bin/local with-servers -- go run ./internal/terraform/write`" + ` in deploy/check; a test fails when it is not what the policies say. Do not edit it.

Each call was made for real, by the programs' own code (marked ●) or by the cloud's SDK, against local servers, and every request
kept. What rights a request takes was read off it, and the policies that ` + "`terraform plan`" + ` shows were evaluated for each of them.

- **writer**: worker-primary or worker-backup, in every region the same. **reader**: the reconciler.
- **break-glass**: the role that people take to delete. **administrator**: who runs terraform; in Azure, the subscription's owner.
- **anybody else**: in AWS another role of the account with AdministratorAccess; in Azure an identity without a role.

`

// Page is the tables of calls and identities.
func (p Planned) Page(all Calls) (string, error) {
	s3, err := p.S3()
	if err != nil {
		return "", err
	}
	azure, err := p.Azure()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(head)
	for _, t := range []struct {
		title, text string
		list        []calls.Call
		judge       func(calls.Call, calls.Identity) (Outcome, error)
	}{
		{"S3: what the programs do", "", all.S3Wanted, s3.Judge},
		{"S3: what they may not do", "", all.S3Forbidden, s3.Judge},
		{"Azure: what the programs do", ownerText, all.AzureWanted, azure.Judge},
		{"Azure: what they may not do", azureText, all.AzureForbidden, azure.Judge},
	} {
		fmt.Fprintf(&out, "## %s\n\n%s", t.title, t.text)
		if err := table(&out, t.list, t.judge); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

const ownerText = `The owner's two rows give away nothing: what a link may do is bounded by the rights to data of who signed it, and an owner has none.

`

const azureText = `The writer's four rows with *yes* are what Azure's right to write takes with it: there is none that only commits blocks. None of them
takes anything away: an overwritten blob's version stays, locked, and so does the one before a change of metadata. The reconciler
sees two versions, and puts the recording into quarantine. Another tier costs money; from Archive a recording has to be brought back
first. Tags are no part of what is locked. The owner may open the container, but the account lets nothing in it be public.

`

func table(out *strings.Builder, list []calls.Call, judge func(calls.Call, calls.Identity) (Outcome, error)) error {
	out.WriteString("| call |")
	rule := "|---|"
	for _, who := range calls.Identities() {
		fmt.Fprintf(out, " %s |", who)
		rule += "---|"
	}
	fmt.Fprintf(out, " denied by |\n%s---|\n", rule)
	for _, c := range list {
		mark := ""
		if c.Code {
			mark = " ●"
		}
		fmt.Fprintf(out, "| %s%s |", c.Name, mark)
		var by []string
		for _, who := range calls.Identities() {
			o, err := judge(c, who)
			if err != nil {
				return err
			}
			word := "–"
			if o.Allowed {
				word = "yes"
			}
			fmt.Fprintf(out, " %s |", word)
			if o.By != "" && !o.Allowed && !slices.Contains(by, o.By) {
				by = append(by, o.By)
			}
		}
		slices.Sort(by)
		fmt.Fprintf(out, " %s |\n", strings.Join(by, ", "))
	}
	out.WriteString("\n")
	return nil
}

// Config is how the programs create objects in S3, by what they are told.
func (p Planned) Config() (s3store.Config, error) {
	all, err := p.Environment()
	if err != nil {
		return s3store.Config{}, err
	}
	for _, programs := range all {
		env := programs["worker-primary"]
		c := s3store.Config{
			Bucket: env["TWINREEL_S3_BUCKET"], Region: env["TWINREEL_S3_REGION"], SSE: env["TWINREEL_S3_SSE"], KMSKeyID: env["TWINREEL_S3_SSE_KMS_KEY_ID"],
			ObjectLockMode: env["TWINREEL_S3_OBJECT_LOCK_MODE"],
		}
		if days := env["TWINREEL_S3_OBJECT_LOCK_DAYS"]; days != "" {
			if c.ObjectLockDays, err = strconv.Atoi(days); err != nil {
				return c, err
			}
		}
		for _, problem := range c.Check() {
			return c, fmt.Errorf("%s: %s", problem.Variable, problem.Text)
		}
		return c, nil
	}
	return s3store.Config{}, fmt.Errorf("no region has settings")
}
