package cli

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/doctor"
)

// ward puts together what doctor looks at.
type ward struct {
	app    *app
	others map[doctor.Role]map[string]string // the workers' environments, where they were given
}

// parts are what is looked at in that role.
func (w *ward) parts(ctx context.Context, role doctor.Role) []doctor.Part {
	if role != doctor.Reconciler {
		return []doctor.Part{doctor.Alone(w.identity(ctx, role, w.app.Lookup, true))}
	}
	mine := w.identity(ctx, role, w.app.Lookup, true)
	ids := doctor.Identities{mine}
	for _, r := range doctor.Roles() {
		if vars, ok := w.others[r]; ok {
			ids = append(ids, w.identity(ctx, r, func(name string) (string, bool) { v, ok := vars[name]; return v, ok }, false))
		}
	}
	return []doctor.Part{
		w.settings(), lazily(w.nats), lazily(w.redis), w.primary(mine), w.backup(mine), w.retention(mine), ids, w.webhooks(), w.platform(),
	}
}

// settings are those with which `run` would start.
func (w *ward) settings() doctor.Part {
	var c config.Run
	err := w.app.load(&c)
	if err == nil {
		return doctor.Set("run")
	}
	var problems settings.Problems
	if errors.As(err, &problems) { // what is wrong with each is said of the part that it belongs to, or by run itself
		var names []string
		for _, p := range problems {
			names = append(names, p.Variable)
		}
		err = errors.New("missing or not usable: " + strings.Join(names, ", "))
	}
	return doctor.NotSet("run", err)
}

func (w *ward) nats(ctx context.Context) []doctor.Check {
	var s config.Streams
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet("nats", err)
	}
	// What NATS refuses ends the looking at NATS, and no more.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	apart := &app{World: w.app.World, stop: stop}
	conn, err := apart.connect(ctx, s.NATS)
	if err != nil {
		return doctor.Away("nats", apart.because(err))
	}
	defer conn.close()
	part := doctor.NATS{
		JS: conn.js, Sizes: s.Sizes, Replicas: s.NATS.Replicas, Peer: s.NATS.Peer, Monitor: s.Room.Monitor, Client: &http.Client{Timeout: monitorTimeout},
	}
	found := part.Examine(ctx)
	if r := apart.refusal.Load(); r != nil {
		return doctor.Away("nats", r)
	}
	return found
}

// because prefers what NATS refused to what came of it.
func (a *app) because(err error) error {
	if r := a.refusal.Load(); r != nil {
		return r
	}
	return err
}

func (w *ward) redis(ctx context.Context) []doctor.Check {
	var s config.Ledger
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet("redis", err)
	}
	l, err := redisledger.Open(s.Redis)
	if err != nil {
		return doctor.NotSet("redis", err)
	}
	defer func() { _ = l.Close() }()
	return doctor.Redis{Ledger: l}.Examine(ctx)
}

// identity opens the stores that a program has settings for. own says that it is this process's environment.
func (w *ward) identity(ctx context.Context, role doctor.Role, lookup func(string) (string, bool), own bool) doctor.Identity {
	id := doctor.Identity{Role: role, Stores: map[tier.Tier]objstore.Inspector{}, Trouble: map[tier.Tier]error{}}
	for _, t := range tier.All() {
		if role != doctor.Reconciler && role != doctor.Worker(t) {
			continue
		}
		i, err := openInspector(ctx, t, lookup, own)
		if err != nil {
			id.Trouble[t] = err
			continue
		}
		id.Stores[t] = i
	}
	if role != doctor.Reconciler {
		id.Strays = doctor.Strays(role, lookup)
		var o config.Origins
		if err := settings.Load(&o, lookup); err == nil {
			id.Origins = o.List
		}
	}
	return id
}

// openInspector opens a tier's store with the settings and credentials of an environment.
func openInspector(ctx context.Context, t tier.Tier, lookup func(string) (string, bool), own bool) (objstore.Inspector, error) {
	if t == tier.Backup {
		var s config.Azure
		if err := settings.Load(&s, lookup); err != nil {
			return nil, err
		}
		if !own && !s.Azure.AccountKey.IsSet() && !s.Azure.SASToken.IsSet() {
			return nil, errors.New("its identity is found only where the program runs")
		}
		return opened(azstore.OpenInspector(ctx, s.Azure))
	}
	var s config.S3
	if err := settings.Load(&s, lookup); err != nil {
		return nil, err
	}
	var options []s3store.Option
	if !own {
		options = append(options, s3store.Environment(lookup))
	}
	return opened(s3store.OpenInspector(ctx, s.S3, options...))
}

// opened keeps a nil driver from becoming an interface that is not nil.
func opened[I objstore.Inspector](i I, err error) (objstore.Inspector, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}
