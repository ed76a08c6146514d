package queue

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
)

// inboxPrefix begins the subjects of answers; the program's name follows.
const inboxPrefix = "_INBOX."

// Refusal is the server's word that a connection's user lacks a permission. The request itself is answered by nothing: without
// this word it looks like one whose answer is late.
type Refusal struct {
	Program string // whose permissions it is about: reconciler, or provisioner for `reconciler provision`
	User    string // as whom it is logged in; "" where a credentials file says so
	Verb    string // "publish" or "subscribe"
	Subject string
}

// Error says who may not do what, and how to mend it.
func (r *Refusal) Error() string {
	who := "the user of TWINREEL_NATS_CREDS_FILE"
	if r.User != "" {
		who = fmt.Sprintf("user %q", r.User)
	}
	return fmt.Sprintf("refused by NATS: %s may not %s to %q; log in as the user of %s (TWINREEL_NATS_USER), or permit that user to %s there, as permissions.conf does",
		who, r.Verb, r.Subject, r.Program, r.Verb)
}

// Refused returns err, and before it what the server refused the connection, where err is the time-out that a refusal comes
// as. The refusal is found by errors.As, err's own kind by errors.Is.
func Refused(nc *nats.Conn, err error) error {
	var said *Refusal
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrTimeout)
	if !late || errors.As(err, &said) {
		return err
	}
	if r := refusalOf(nc, nc.LastError()); r != nil {
		return fmt.Errorf("%w (%w)", r, err)
	}
	return err
}

// violation finds what was refused in the server's words.
var violation = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

// refusalOf returns the refusal that err is, nil for another error.
func refusalOf(nc *nats.Conn, err error) *Refusal {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	found := violation.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	r := &Refusal{Program: strings.TrimPrefix(nc.Opts.InboxPrefix, inboxPrefix), Verb: "publish", Subject: found[2]}
	if !strings.EqualFold(found[1], r.Verb) {
		r.Verb = "subscribe"
	}
	if own := nc.Opts.InboxPrefix + "."; strings.HasPrefix(r.Subject, own) {
		r.Subject = own + ">" // the rest is random
	}
	if nc.Opts.UserInfo != nil {
		r.User, _ = nc.Opts.UserInfo()
	}
	return r
}
