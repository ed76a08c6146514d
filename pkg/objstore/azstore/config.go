package azstore

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is how a program finds its container and what it asks of it. Its credentials are an account's key, a shared
// access signature, or, with neither, what azidentity's default chain finds.
type Config struct {
	ServiceURL       string          `env:"TWINREEL_AZURE_SERVICE_URL" required:"true" meaning:"address of the storage account's blob service"`
	Container        string          `env:"TWINREEL_AZURE_CONTAINER" required:"true" meaning:"container of the backup tier"`
	AccountName      string          `env:"TWINREEL_AZURE_ACCOUNT_NAME" meaning:"storage account that the key is of"`
	AccountKey       settings.Secret `env:"TWINREEL_AZURE_ACCOUNT_KEY" meaning:"its key; with neither key nor SAS credentials come by azidentity's default chain"`
	SASToken         settings.Secret `env:"TWINREEL_AZURE_SAS_TOKEN" meaning:"shared access signature of the container"`
	EncryptionScope  string          `env:"TWINREEL_AZURE_ENCRYPTION_SCOPE" meaning:"encryption scope of each blob"`
	AccessTier       string          `env:"TWINREEL_AZURE_ACCESS_TIER" meaning:"Hot, Cool or Cold; unset: the account's default"`
	ImmutabilityDays int             `env:"TWINREEL_AZURE_IMMUTABILITY_DAYS" envDefault:"0" meaning:"days for which each blob is locked: a locked policy, that nobody can shorten"`
}

// maxImmutableDays is the longest policy that Azure takes: four hundred years.
const maxImmutableDays = 146000

// containerName is what Azure takes for the name of a container, but for doubled hyphens and its length.
var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// tiers returns the access tiers in which a blob can be read at once.
func tiers() []blob.AccessTier {
	return []blob.AccessTier{blob.AccessTierHot, blob.AccessTierCool, blob.AccessTierCold}
}

// Check implements settings.Checker.
func (c Config) Check() []settings.Problem {
	var all []settings.Problem
	wrong := func(variable, format string, args ...any) {
		all = append(all, settings.Problem{Variable: variable, Text: fmt.Sprintf(format, args...)})
	}
	u, err := url.Parse(c.ServiceURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || !slices.Contains([]string{"http", "https"}, u.Scheme):
		wrong("TWINREEL_AZURE_SERVICE_URL", "want an address such as https://account.blob.core.windows.net, without user and query")
	case u.Scheme != "https" && !c.AccountKey.IsSet() && !c.SASToken.IsSet():
		wrong("TWINREEL_AZURE_SERVICE_URL", "want https, since neither TWINREEL_AZURE_ACCOUNT_KEY nor TWINREEL_AZURE_SAS_TOKEN is set: no token goes over plain http")
	}
	if !containerName.MatchString(c.Container) || len(c.Container) < 3 || len(c.Container) > 63 {
		wrong("TWINREEL_AZURE_CONTAINER", "want 3 to 63 of a-z, 0-9 and single hyphens")
	}
	if _, err := base64.StdEncoding.DecodeString(c.AccountKey.Get()); err != nil {
		wrong("TWINREEL_AZURE_ACCOUNT_KEY", "want an account key, which is base64")
	}
	switch {
	case c.AccountKey.IsSet() && c.SASToken.IsSet():
		wrong("TWINREEL_AZURE_SAS_TOKEN", "is set together with TWINREEL_AZURE_ACCOUNT_KEY; set one of them")
	case c.AccountKey.IsSet() && c.AccountName == "":
		wrong("TWINREEL_AZURE_ACCOUNT_NAME", "is required with TWINREEL_AZURE_ACCOUNT_KEY")
	}
	if _, err := query(c.SASToken.Get()); err != nil {
		wrong("TWINREEL_AZURE_SAS_TOKEN", "want the query of a signed address: sv=…&sig=…")
	}
	if c.AccessTier != "" && !slices.Contains(tiers(), blob.AccessTier(c.AccessTier)) {
		wrong("TWINREEL_AZURE_ACCESS_TIER", "want Hot, Cool or Cold, got %q", c.AccessTier)
	}
	if c.ImmutabilityDays < 0 || c.ImmutabilityDays > maxImmutableDays {
		wrong("TWINREEL_AZURE_IMMUTABILITY_DAYS", "want 0 to %d days", maxImmutableDays)
	}
	return all
}
