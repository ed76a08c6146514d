package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Store is one tier's store, by the reconciler's identity.
type Store struct {
	Tier      tier.Tier
	Inspector objstore.Inspector
	Region    string // that is configured, "" where there is no such setting
	// Encrypt is how each object is asked to be encrypted, in the cloud's own words; "" for the store's default. Key names
	// the key or scope.
	Encrypt, Key  string
	RetentionDays int // for which recordings have to be kept
	// Link asks for an address as a worker does; nil for http.DefaultClient's.
	Fetch Fetcher
}

// name is what the checks of the tier begin with.
func (s Store) name(thing string) string { return s.Tier.String() + "." + thing }

// look is the key of an object that is never there.
const look = "metadata/doctor-probe.json"

// reached reports whether the store answers and knows who asks.
func reached(ctx context.Context, i objstore.Inspector) error {
	const timeout = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := i.Stat(ctx, look)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil
	}
	return err
}

// Examine implements Part.
func (s Store) Examine(ctx context.Context) []Check {
	if err := reached(ctx, s.Inspector); err != nil {
		return Away(s.Tier.String(), err)
	}
	out := []Check{
		reachable(s.Tier.String()).pass("%s answers", s.Inspector.Bucket()),
		s.listing(ctx), s.versions(ctx), s.encryption(ctx), s.exposure(ctx), s.lifecycle(ctx), s.copies(ctx),
		clock(ctx, s.Tier.String(), s.Inspector.Clock),
	}
	if s.Region != "" {
		out = append(out, s.region(ctx))
	}
	return out
}

// byHand says where to look what the store did not tell.
func (s Store) byHand(s3, azure string) string {
	if s.Tier == tier.Primary {
		return s3
	}
	return azure
}

func (s Store) listing(ctx context.Context) Check {
	q := question{s.name("listing"), "the reconciler may list all versions", "a full run compares the two inventories: what it cannot list, it cannot prove"}
	for _, err := range s.Inspector.List(ctx, "metadata/") {
		if err != nil {
			return q.fail(s.byHand("permit the reconciler s3:ListBucket and s3:ListBucketVersions", "permit the reconciler to list (l of a shared access signature, or the role Storage Blob Data Reader)"), "%v", err)
		}
		return q.pass("it may")
	}
	return q.pass("it may; there is nothing below metadata/ yet")
}

func (s Store) versions(ctx context.Context) Check {
	q := question{s.name("versions"), "versions are kept", "an overwrite or a deletion then leaves what was there, as evidence and to be restored"}
	mend := s.byHand("aws s3api put-bucket-versioning --versioning-configuration Status=Enabled --bucket …",
		"az storage account blob-service-properties update --enable-versioning true --account-name …")
	on, err := s.Inspector.Versioning(ctx)
	switch {
	case err != nil:
		return q.untold(mend, err)
	case !on:
		return q.fail(mend, "they are not kept")
	}
	return q.pass("they are kept")
}

func (s Store) region(ctx context.Context) Check {
	q := question{s.name("region"), "the bucket is in the region that is configured", "requests to another are redirected or refused, and data may lie where it must not"}
	got, err := s.Inspector.Region(ctx)
	switch {
	case err != nil:
		return q.untold("compare TWINREEL_S3_REGION with the bucket's", err)
	case got != s.Region:
		return q.fail("correct TWINREEL_S3_REGION, of the worker and of the reconciler", "TWINREEL_S3_REGION is %s, the bucket is in %s", s.Region, got)
	}
	return q.pass("%s", got)
}

func (s Store) encryption(ctx context.Context) Check {
	q := question{s.name("encryption"), "what is stored is encrypted as asked", "recordings are personal data: a stolen disk or a shared key must not lay them open"}
	asked := strings.TrimSpace(s.Encrypt + " " + s.Key)
	got, err := s.Inspector.Encryption(ctx)
	if err != nil {
		c := q.untold(s.byHand("aws s3api get-bucket-encryption --bucket …", "az storage container show --query defaultEncryptionScope"), err)
		if asked != "" {
			c.Found = "each object is asked to be encrypted with " + asked + "; the store's own default is not told: " + c.Found
		}
		return c
	}
	byDefault := strings.TrimSpace(got.Default + " " + got.Key)
	switch {
	case got.Forced && s.Key != "" && got.Key != s.Key:
		return q.fail("set TWINREEL_AZURE_ENCRYPTION_SCOPE to the container's scope, or let objects choose", "each object is asked for %s, but the container takes %s only", asked, byDefault)
	case asked != "":
		return q.pass("each object is asked for %s; the store's default is %s", asked, orNone(byDefault))
	case got.Default == "":
		return q.fail("turn on the bucket's default encryption, or set TWINREEL_S3_SSE", "not at all: TWINREEL_S3_SSE is none, and the bucket has no default")
	}
	return q.pass("by the store's default: %s", byDefault)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (s Store) exposure(ctx context.Context) Check {
	q := question{s.name("public"), "nobody reads without credentials", "recordings of calls on the open internet cannot be taken back"}
	mend := s.byHand("aws s3api put-public-access-block, with all four true",
		"az storage account update --allow-blob-public-access false")
	open, err := s.Inspector.Exposure(ctx)
	switch {
	case err != nil:
		return q.untold(mend, err)
	case len(open) > 0:
		return q.fail(mend, "%s", strings.Join(open, "; "))
	}
	return q.pass("%s", s.byHand("public access is blocked in all four ways", "a stranger is not told what there is"))
}
