package objstore

import (
	"context"
	"errors"
	"time"
)

// ErrCannotTell is returned by an Inspector for a question to which there is no answer by these credentials on this
// server: it does not know the question (501), keeps the answer where only an administrator's interface has it, or does
// not let this identity ask. It says nothing about how the store is set up.
var ErrCannotTell = errors.New("this cannot be told")

// Inspector is a Reader that also tells how its store is set up and what its own identity may do there. It changes
// nothing: what it asks for in order to learn whether that would be permitted can never be carried out. Errors other than
// ErrCannotTell are those of Reader.
//
// It is safe for concurrent use.
type Inspector interface {
	Reader
	// Clock returns the server's own time, in whole seconds.
	Clock(ctx context.Context) (time.Time, error)
	// Region returns where the store says that it is.
	Region(ctx context.Context) (string, error)
	// Versioning reports whether an object that is overwritten or deleted leaves its versions behind.
	Versioning(ctx context.Context) (bool, error)
	// Lock returns what is locked against deletion without being asked for.
	Lock(ctx context.Context) (Lock, error)
	// Encryption returns how what is stored is encrypted unless it is asked for otherwise.
	Encryption(ctx context.Context) (Encryption, error)
	// Exposure returns in which ways strangers may read, in words; none is best.
	Exposure(ctx context.Context) ([]string, error)
	// Lifecycle returns the rules by which the store removes or moves objects by itself.
	Lifecycle(ctx context.Context) ([]Rule, error)
	// MayCreate reports whether key could be created, if it is not there.
	MayCreate(ctx context.Context, key string) (bool, error)
	// MayOverwrite reports whether key could be put without the condition that it is not there.
	MayOverwrite(ctx context.Context, key string) (bool, error)
	// MayDelete reports whether an object could be deleted.
	MayDelete(ctx context.Context) (bool, error)
	// MayDeleteVersions reports whether a version could be deleted for good.
	MayDeleteVersions(ctx context.Context) (bool, error)
	// Identity describes the credentials without giving any of them away.
	Identity(ctx context.Context) (Identity, error)
}

// Lock is what keeps objects from being deleted.
type Lock struct {
	Possible bool   // an object can be locked when it is created
	Default  bool   // each new object is locked unless it says otherwise
	Days     int    // of Default; 0 where it cannot be told
	Mode     string // of Default, in the cloud's own word
}

// Encryption is how objects are encrypted.
type Encryption struct {
	Default string // in the cloud's own words; "" for not at all
	Key     string // name of the key or scope, "" for the provider's own
	Forced  bool   // objects cannot ask for another
}

// Rule is a rule by which a store removes or moves objects by itself. Days of 0 mean never.
type Rule struct {
	Name       string
	Prefix     string // of the keys that it holds for; "" for all
	ByTag      bool   // it holds for objects with certain tags only
	Expires    int    // days after which objects are removed; -1 on a fixed date
	OldExpires int    // days after which versions that are no longer current are removed for good
	Moves      string // storage class to which objects are moved, "" for none
	Aborts     int    // days after which an upload that was never committed is removed
}

// Identity is who a store's client is.
type Identity struct {
	Kind string // access key, account key, shared access signature, managed identity …
	// Mark is equal for equal credentials, and does not tell them: an access key's ID, or some digits of a hash.
	Mark    string
	Rights  string    // what the credentials themselves say that they permit, "" where they say nothing; as their cloud writes it
	Expires time.Time // when the credentials end; zero where they say nothing
	Owner   bool      // they permit everything
}
