package stack

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
)

// SetNATSPassword gives a user of NATSAccess.Logins another password on the running server, which then closes the
// connections of whoever came with the old one.
func (s *Stack) SetNATSPassword(ctx context.Context, user, password string) error {
	before, err := s.natsLoaded(ctx)
	if err != nil {
		return err
	}
	l := s.NATSAccess.Logins[user]
	l.Password = password
	s.NATSAccess.Logins[user] = l
	if err := s.natsConf.write(); err != nil {
		return err
	}
	reload := func(p *process.Process) error { return p.Signal(syscall.SIGHUP) }
	if err := s.NATS.running(reload); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.NATS.running(func(p *process.Process) error {
		return p.Await(ctx, func(ctx context.Context) error {
			now, err := s.natsLoaded(ctx)
			if err == nil && !now.After(before) {
				err = errors.New("the configuration is not loaded yet")
			}
			return err
		})
	})
}

// natsLoaded is when the NATS server read its configuration last.
func (s *Stack) natsLoaded(ctx context.Context) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.NATSAccess.MonitorURL+"/varz", nil)
	if err != nil {
		return time.Time{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask NATS for its configuration: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Loaded time.Time `json:"config_load_time"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return time.Time{}, fmt.Errorf("ask NATS for its configuration: %w", err)
	}
	return answer.Loaded, nil
}

// RotateS3Writer makes new keys with the writer's rights, which S3Access.Writer then names; the old ones are good until
// withdraw is called.
func (s *Stack) RotateS3Writer(ctx context.Context) (withdraw func() error, err error) {
	old, fresh := s.S3Access.Writer, Keys{"writer-" + secret(4), secret(20)}
	if err := s.addS3User(ctx, s.set, fresh); err != nil {
		return nil, err
	}
	if err := s.setPolicy(ctx, old, fresh); err != nil {
		return nil, err
	}
	s.S3Access.Writer = fresh
	return func() error {
		cmd := exec.CommandContext(ctx, s.set.Versitygw, "admin", "delete-user", "--access", old.Access)
		cmd.Env = s.s3Admin()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("remove the S3 user %s: %w: %s", old.Access, err, strings.TrimSpace(string(out)))
		}
		return s.setPolicy(ctx, fresh)
	}, nil
}

func (s *Stack) setPolicy(ctx context.Context, writers ...Keys) error {
	a := s.S3Access
	_, err := a.Client(a.Root).PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(a.Bucket), Policy: aws.String(a.policy(writers...))})
	if err != nil {
		return fmt.Errorf("set the policy of the bucket %s: %w", a.Bucket, err)
	}
	return nil
}

// WriterUntil is an access token of the writer's rights that ends then, for when one takes another's place.
func (a AzureAccess) WriterUntil(end time.Time) (string, error) {
	cred, err := container.NewSharedKeyCredential(a.Account, a.Key)
	if err != nil {
		return "", fmt.Errorf("use the Azure account key: %w", err)
	}
	return a.sign(cred, end, sas.ContainerPermissions{Read: true, Create: true, Write: true, Tag: true})
}

// SetAzureKeys makes the Azure server, from its next start on, take these keys of the account, at most two, and no other.
// AzureAccess then has the last one, and tokens that are signed by it.
func (s *Stack) SetAzureKeys(keys ...string) error {
	a := &s.AzureAccess
	a.Key = keys[len(keys)-1]
	s.Azure.setEnv("AZURITE_ACCOUNTS", a.Account+":"+strings.Join(keys, ":"))
	return a.signAll()
}

// AzureByTokens makes the Azure server, from its next start on, speak TLS and take tokens of Azure's identities, of which it
// checks what they say but not who signed them; or neither, as it was. AzureAccess then has its address.
func (s *Stack) AzureByTokens(on bool) error {
	scheme, args, client := "http", []string(nil), http.DefaultClient
	if on {
		p, err := s.Authority.Issue("azure", "127.0.0.1", "localhost")
		if err != nil {
			return err
		}
		roots, err := s.Authority.Roots()
		if err != nil {
			return err
		}
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		scheme, args = "https", []string{"--oauth", "basic", "--cert", p.Cert, "--key", p.Key}
	}
	_, rest, _ := strings.Cut(s.AzureAccess.ServiceURL, "://")
	s.AzureAccess.ServiceURL = scheme + "://" + rest
	s.Azure.mu.Lock()
	defer s.Azure.mu.Unlock()
	s.Azure.spec.Args = append(slices.Clone(s.azureArgs), args...)
	s.Azure.ready = answersTo(client, scheme+"://"+s.Azure.Addr, 0)
	return nil
}
