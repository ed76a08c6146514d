package stack

import (
	"context"
	"errors"
	"fmt"
)

// World is all that one Twinreel needs of a stack, apart from every other world on it: a NATS account, a prefix in
// Redis, a bucket and a container.
type World struct {
	NATS                  NATSAccess
	RedisURL, RedisPrefix string
	S3                    S3Access
	Azure                 AzureAccess
}

// World returns the stack's own world, which the demonstration works in.
func (s *Stack) World() World {
	return World{NATS: s.NATSAccess, RedisURL: s.RedisURL, RedisPrefix: "twinreel", S3: s.S3Access, Azure: s.AzureAccess}
}

// NewWorld makes a world of its own on the running servers; there can be 40. Tests that share a stack take one each.
func (s *Stack) NewWorld(ctx context.Context) (World, error) {
	n := int(s.worlds.Add(1))
	if n > testAccounts {
		return World{}, errors.New("make another world on the stack: all its NATS accounts are taken; start another stack")
	}
	w := s.World()
	name := fmt.Sprintf("world-%02d", n)
	w.NATS = testAccess(w.NATS, n)
	w.RedisPrefix, w.S3.Bucket, w.Azure.Container = name, name, name
	return w, errors.Join(w.S3.createBucket(ctx), w.Azure.createContainer(ctx))
}
