package cli

import (
	"crypto/rand"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

// keyPair is a new key of the audit log.
type keyPair struct {
	Name        string `json:"name"`
	PrivateKey  string `json:"privateKey"`  // for TWINREEL_AUDIT_KEY
	VerifierKey string `json:"verifierKey"` // public
}

func (a *app) audit() *cobra.Command {
	return parent("audit", "The compliance log", a.auditShow(), a.auditVerify(), a.auditEvidence(), a.auditAdopt(), a.auditKeygen())
}

func (a *app) auditKeygen() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key that signs the audit log",
		Long: `Make a new Ed25519 key that signs the audit log's checkpoints (signed notes, as in golang.org/x/mod/sumdb/note). The
private key is for TWINREEL_AUDIT_KEY, best as a file named by TWINREEL_AUDIT_KEY_FILE; the verifier key is public: hand it
to whoever is to verify the log. The key is printed once and kept nowhere.

To change the key, make one of the same name and put it into the first line of TWINREEL_AUDIT_KEY, with the old one's verifier
key in a line below, so that what it signed is still believed.`,
		Example: `  reconciler audit keygen --name audit.example.com
  (umask 077; reconciler audit keygen -o json > audit-key.json)`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
				return usagef("--name: want a name without blanks and without +")
			}
			private, public, err := note.GenerateKey(rand.Reader, name)
			if err != nil {
				return err
			}
			return a.printOne(keyPair{name, private, public}, func(w io.Writer) error {
				return writeTable(w, nil, [][]string{{"private key (TWINREEL_AUDIT_KEY)", private}, {"verifier key (public)", public}})
			})
		},
	}
	c.Flags().StringVar(&name, "name", "twinreel", "the log's name, shown in each signature; a host name of yours is a good one")
	return c
}
