// Package tier names the two tiers that every recording is stored in.
//
// A tier is one store with one identity: primary is S3, backup is Azure Blob. Nothing in one tier waits for the
// other; what the two share passes through JetStream.
package tier

import "fmt"

// Tier is the name of one of the two tiers, as it appears in subjects, keys, labels and flags.
type Tier string

// The two tiers.
const (
	Primary Tier = "primary" // S3
	Backup  Tier = "backup"  // Azure Blob
)

// All returns both tiers, primary first. The array is the caller's own.
func All() [2]Tier { return [2]Tier{Primary, Backup} }

// Sibling returns the other tier.
func (t Tier) Sibling() Tier {
	if t == Primary {
		return Backup
	}
	return Primary
}

// String returns the tier's name.
func (t Tier) String() string { return string(t) }

// Parse returns the tier of that name, or an error that lists the names there are.
func Parse(s string) (Tier, error) {
	switch t := Tier(s); t {
	case Primary, Backup:
		return t, nil
	}
	return "", fmt.Errorf("tier %q: want %q or %q", s, Primary, Backup)
}
