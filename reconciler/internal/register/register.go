package register

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The actions of an Outcome.
const (
	Created   = "created"
	Unchanged = "unchanged" // an equal one was there
	Planned   = "would be created"
)

// Outcome is what a registration came to.
type Outcome struct {
	Action  string  `json:"action"`
	Webhook Webhook `json:"webhook"`
}

// Different is the error of a registration that meets a webhook of the same address that differs. It is left as it is.
type Different struct {
	ID          string
	Differences []string
}

// Error implements error.
func (d Different) Error() string {
	return fmt.Sprintf("the platform has a webhook of that address that differs (ID %s): %s. It was left as it is: change or remove it there, then register again",
		d.ID, strings.Join(d.Differences, "; "))
}

// Find looks whether the platform has the webhook. found is false where it has none of its address. Different.
func Find(ctx context.Context, c *Client, want Webhook) (have Webhook, found bool, err error) {
	all, err := c.List(ctx)
	if err != nil {
		return Webhook{}, false, err
	}
	var different error
	for _, w := range all {
		if w.URL != want.URL {
			continue
		}
		differences := Differences(w, want)
		if len(differences) == 0 {
			have, found = w, true
			continue
		}
		different = errors.Join(different, Different{w.ID, differences})
	}
	if different != nil { // even beside an equal one: each recording would be told twice, or in another way
		return have, found, different
	}
	return have, found, nil
}

// Create creates the webhook, which Find did not find. A lost answer is looked into: the webhook is not doubled for it.
func Create(ctx context.Context, c *Client, want Webhook) (Outcome, error) {
	made, err := c.Create(ctx, want)
	if err == nil {
		return Outcome{Created, made}, nil
	}
	if !errors.Is(err, ErrUnsure) || ctx.Err() != nil {
		return Outcome{}, err
	}
	have, found, look := Find(ctx, c, want)
	switch {
	case look != nil:
		return Outcome{}, errors.Join(err, look)
	case !found:
		return Outcome{}, fmt.Errorf("%w; it is not in the platform's list: run the command again, which looks first", err)
	}
	return Outcome{Created, have}, nil
}
