// Package stack runs the real servers that Twinreel needs, on one machine, on free loopback ports, in one temporary
// folder: NATS with JetStream, Redis, an S3 server and an Azure Blob server; where asked for, also a NATS cluster and a Redis
// with Sentinels. Closing the stack ends them all and removes the folder.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// patience is how long a server may take to be ready, on a machine that is busy.
const patience = 60 * time.Second

// Stack is the running servers and what is needed to reach them.
type Stack struct {
	// Dir is the temporary folder that holds all data and logs.
	Dir string
	// RedisIs says in words which Redis runs.
	RedisIs string

	// Authority issues the certificates of servers that speak TLS.
	Authority *Authority

	NATS, Redis, S3, Azure *Server
	NATSAccess             NATSAccess
	RedisURL               string
	S3Access               S3Access
	AzureAccess            AzureAccess
	PeerURL                string // of the NATS server that StartPeer starts; "": there is none

	set             tools.Set
	worlds          atomic.Int32
	natsConf        natsConf
	natsCertificate Pair
	azureArgs       []string
	more            []*Server // those that were started besides
}

// Start starts everything and prepares the stores. Where that fails, what was started is ended again.
func Start(ctx context.Context, set tools.Set) (s *Stack, err error) {
	dir, err := os.MkdirTemp("", "twinreel-")
	if err != nil {
		return nil, fmt.Errorf("make the stack's folder: %w", err)
	}
	// Servers ask for absolute paths, and TMPDIR may be a relative one.
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("make the stack's folder: %w", err)
	}
	s = &Stack{Dir: dir, RedisIs: set.RedisIs, set: set}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := s.describe(set); err != nil {
		return nil, err
	}
	return s, s.startAll(ctx, set)
}

// describe chooses ports and secrets, and lays out each server's folder.
func (s *Stack) describe(set tools.Set) error {
	dir, err := s.folder("certificates")
	if err != nil {
		return err
	}
	if s.Authority, err = newAuthority(dir); err != nil {
		return err
	}
	p, err := freePorts(6)
	if err != nil {
		return err
	}
	return errors.Join(
		s.describeNATS(set, p[0], p[1], p[5]),
		s.describeRedis(set, p[2]),
		s.describeS3(set, p[3]),
		s.describeAzure(set, p[4]),
	)
}

// startAll starts the servers side by side and then prepares the two stores.
func (s *Stack) startAll(ctx context.Context, set tools.Set) error {
	return together(
		func() error { return s.NATS.Start(ctx) },
		func() error { return s.Redis.Start(ctx) },
		func() error {
			if err := s.S3.Start(ctx); err != nil {
				return err
			}
			return s.prepareS3(ctx, set)
		},
		func() error {
			if err := s.Azure.Start(ctx); err != nil {
				return err
			}
			return s.prepareAzure(ctx)
		},
	)
}

// Servers are all servers, in the order in which they are ended.
func (s *Stack) Servers() []*Server {
	var all []*Server
	for _, server := range []*Server{s.S3, s.Azure, s.Redis, s.NATS} {
		if server != nil {
			all = append(all, server)
		}
	}
	return append(all, s.more...)
}

// Close ends every server and removes the folder. It may be called more than once.
func (s *Stack) Close() error {
	var ends []func() error
	for _, server := range s.Servers() {
		ends = append(ends, server.Kill)
	}
	err := together(ends...)
	if e := os.RemoveAll(s.Dir); e != nil {
		err = errors.Join(err, fmt.Errorf("remove the stack's folder: %w", e))
	}
	return err
}

// folder makes a folder of the stack.
func (s *Stack) folder(name string) (string, error) {
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder of the stack: %w", err)
	}
	return dir, nil
}

// together runs all functions at the same time and joins their errors.
func together(fns ...func() error) error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
