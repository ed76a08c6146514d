package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/disk"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
	"github.com/twinreel/twinreel/pkg/queue"
)

// smallDisk is how many MiB a disk has that is going to be full.
const smallDisk = 256

// natsRows are what can go wrong with the queue.
func natsRows() []Row {
	const held = "a webhook is answered 503 or not at all meanwhile, and 200 when it is sent again"
	return []Row{
		{
			Name: "nats-killed", Group: "NATS", Short: true, on: inTurn, Injected: "nats-server killed (-9) three times under load, away for 1 s each", Seen: held,
			play: outage(3, time.Second, func(b *bed) error { return b.stack.NATS.Kill() }, func(ctx context.Context, b *bed) error { return b.stack.NATS.Start(ctx) }),
		},
		{
			Name: "nats-frozen", Group: "NATS", on: inTurn, Injected: "nats-server frozen (SIGSTOP) under load for 8 s", Seen: held,
			play: outage(1, 8*time.Second, func(b *bed) error { return b.stack.NATS.Freeze() }, func(_ context.Context, b *bed) error { return b.stack.NATS.Thaw() }),
		},
		{
			Name: "nats-slow", Group: "NATS", Injected: "the line to NATS: 150 ms each way, 256 KiB/s a connection, for the whole load", Seen: "nothing more",
			play: natsLine(func(w *wire.Wire) error { return w.Slow(150, 256) }, 5*time.Second),
		},
		{
			Name: "nats-resets", Group: "NATS", Injected: "the line to NATS resets each connection 50 ms after something was sent on it, for 5 s", Seen: held,
			play: natsLine(func(w *wire.Wire) error { return w.Reset(50) }, 5*time.Second),
		},
		{
			Name: "nats-half-open", Group: "NATS", Injected: "the line to NATS stays open and brings nothing more, in either direction, for 20 s", Seen: held,
			play: natsLine((*wire.Wire).Hang, 20*time.Second),
		},
		{
			Name: "nats-deaf", Group: "NATS", Injected: "for 10 s all that programs send arrives at NATS, and no answer comes back: every PubAck is lost", Seen: held + "; the stream has each event once",
			play: natsLine((*wire.Wire).Deafen, 10*time.Second),
		},
		{
			Name: "nats-disk-full", Group: "NATS", on: alone, Injected: fmt.Sprintf("NATS' data on a disk of %d MiB, which is filled by something else under load for 5 s, then NATS is started anew", smallDisk),
			Seen: "no webhook is answered 200 that is not in the stream", play: natsDiskFull,
		},
		{
			Name: "recordings-full", Group: "NATS", settings: map[string]string{"TWINREEL_RECORDINGS_MAX_BYTES": "1MiB"},
			Injected: "the stream RECORDINGS filled to its MaxBytes, then given room by `provision`", Seen: "503 while it is full, then 200", play: recordingsFull,
		},
	}
}

// outage lets a server go away and come back under load, so many times.
func outage(times int, away time.Duration, from func(*bed) error, to func(context.Context, *bed) error) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		if err := b.warm(ctx); err != nil {
			return err
		}
		for range times {
			if err := b.send(ctx, few); err != nil {
				return err
			}
			if err := errors.Join(pause(ctx, 300*time.Millisecond), from(b), pause(ctx, away), to(ctx, b)); err != nil {
				return err
			}
		}
		return b.restAgain(ctx, "after it was back")
	}
}

// natsLine lets the line to NATS misbehave under load.
func natsLine(hurt func(*wire.Wire) error, lasting time.Duration) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		if err := b.warm(ctx); err != nil {
			return err
		}
		if err := errors.Join(b.send(ctx, few), pause(ctx, 200*time.Millisecond), hurt(b.nats), b.send(ctx, few), pause(ctx, lasting)); err != nil {
			return err
		}
		if err := b.nats.Mend(); err != nil {
			return err
		}
		return b.restAgain(ctx, "after the line was mended")
	}
}

func natsDiskFull(ctx context.Context, b *bed) error {
	d, err := b.onSmallDisk(ctx, b.stack.NATS, "nats")
	if err != nil {
		return err
	}
	if err := errors.Join(b.warm(ctx), d.Fill(), b.send(ctx, few), pause(ctx, 5*time.Second)); err != nil {
		return err
	}
	taken := len(b.acknowledged())
	b.see("%d of %d webhooks answered 200 before or while the disk was full", taken, few+4)
	// A server that has met a full disk may have turned JetStream off for good: an operator makes room and starts it anew.
	if err := errors.Join(d.Empty(), b.stack.NATS.Stop(), b.stack.NATS.Start(ctx)); err != nil {
		return err
	}
	return b.restAgain(ctx, "after there was room again")
}

// onSmallDisk moves a server's folder to a disk of its own while it is stopped.
func (b *bed) onSmallDisk(ctx context.Context, s *stack.Server, folder string) (*disk.Small, error) {
	d, err := disk.NewSmall(b.within("small"), smallDisk)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, s.Kill, d.Close)
	return d, errors.Join(s.Stop(), disk.Move(b.within(folder), filepath.Join(d.Dir, filepath.Base(folder))), s.Start(ctx))
}

// acknowledged are the keys of all recordings that were answered 200.
func (b *bed) acknowledged() (keys []string) {
	for _, r := range b.platform.Truth() {
		if len(r.Acknowledged()) > 0 {
			keys = append(keys, r.Key())
		}
	}
	return keys
}

func recordingsFull(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	// An event that no tier's consumer takes would not count as work; the stream takes only these subjects, so it is filled
	// with redrives of what is there already.
	if err := b.fill(ctx, queue.Recordings); err != nil {
		return err
	}
	before := len(b.acknowledged())
	if err := errors.Join(b.send(ctx, few), pause(ctx, 2*time.Second)); err != nil {
		return err
	}
	if n := len(b.acknowledged()) - before; n > 0 {
		b.see("%d of %d were still taken, for whom there was room", n, few)
	}
	unavailable := func(ctx context.Context) error {
		return counts(ctx, b.ingress, 1, "twinreel_webhooks_total", `code="unavailable"`)
	}
	if err := eventually(ctx, 10*time.Second, "ingress says that the stream takes no more", unavailable); err != nil {
		return err
	}
	if err := b.provisionWith(ctx, "TWINREEL_RECORDINGS_MAX_BYTES=64MiB"); err != nil {
		return err
	}
	return b.restAgain(ctx, "after the stream had room again")
}

// fill publishes copies of the stream's first event until it takes no more: redeliveries of a recording that both tiers have.
func (b *bed) fill(ctx context.Context, stream string) error {
	s, err := b.queue.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	first, err := s.GetMsg(ctx, s.CachedInfo().State.FirstSeq)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		_, err := b.queue.js.Publish(ctx, first.Subject, first.Data, jetstream.WithExpectStream(stream))
		if apiErr := (*jetstream.APIError)(nil); errors.As(err, &apiErr) {
			b.see("%s was full after %d more events", stream, n)
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill %s: %w", stream, err)
		}
	}
}

// redisRows are what can go wrong with the ledger.
func redisRows() []Row {
	const on = "work goes on all the while, without claims"
	return []Row{
		{
			Name: "redis-killed", Group: "Redis", on: inTurn, Injected: "redis-server killed (-9) under load, back after 5 s", Seen: on,
			play: withoutRedis(func(b *bed) error { return b.stack.Redis.Kill() }, func(ctx context.Context, b *bed) error { return b.stack.Redis.Start(ctx) }),
		},
		{
			Name: "redis-frozen", Group: "Redis", on: inTurn, Injected: "redis-server frozen (SIGSTOP) under load for as long as it lasts", Seen: on,
			play: withoutRedis(func(b *bed) error { return b.stack.Redis.Freeze() }, func(_ context.Context, b *bed) error { return b.stack.Redis.Thaw() }),
		},
		{
			Name: "redis-half-open", Group: "Redis", Injected: "the line to Redis stays open and brings nothing more for as long as the load lasts", Seen: on,
			play: withoutRedis(func(b *bed) error { return b.redis.Hang() }, func(_ context.Context, b *bed) error { return b.redis.Mend() }),
		},
		{
			Name: "redis-resets", Group: "Redis", Injected: "the line to Redis resets each connection after 20 ms", Seen: on,
			play: withoutRedis(func(b *bed) error { return b.redis.Reset(20) }, func(_ context.Context, b *bed) error { return b.redis.Mend() }),
		},
		{
			Name: "redis-flushed", Group: "Redis", Short: true, on: inTurn, Injected: "FLUSHALL twenty times under load: every claim, count and record is gone", Seen: "nothing more",
			play: redisFlushed,
		},
		{
			Name: "redis-disk-full", Group: "Redis", on: alone, Injected: fmt.Sprintf("Redis' append-only file on a disk of %d MiB, which is filled by something else under load", smallDisk), Seen: on,
			play: func(ctx context.Context, b *bed) error {
				d, err := b.onSmallDisk(ctx, b.stack.Redis, "redis")
				if err != nil {
					return err
				}
				if err := errors.Join(b.warm(ctx), d.Fill(), b.send(ctx, few)); err != nil {
					return err
				}
				if err := b.restAgain(ctx, "with the disk full"); err != nil {
					return err
				}
				return errors.Join(d.Empty(), b.stack.Redis.Kill(), b.stack.Redis.Start(ctx), b.send(ctx, 2), b.restAgain(ctx, "after there was room again"))
			},
		},
	}
}

// withoutRedis takes Redis away, lets a load come to rest without it, and gives it back.
func withoutRedis(from func(*bed) error, to func(context.Context, *bed) error) func(context.Context, *bed) error {
	return func(ctx context.Context, b *bed) error {
		if err := errors.Join(b.warm(ctx), from(b), b.send(ctx, few)); err != nil {
			return errors.Join(err, to(ctx, b))
		}
		err := b.restAgain(ctx, "without Redis")
		if err := errors.Join(err, to(ctx, b)); err != nil {
			return err
		}
		return errors.Join(b.send(ctx, 4), b.restAgain(ctx, "with Redis back"))
	}
}

func redisFlushed(ctx context.Context, b *bed) error {
	o, err := redis.ParseURL(b.world.RedisURL)
	if err != nil {
		return err
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	if err := errors.Join(b.warm(ctx), b.send(ctx, 2*few)); err != nil {
		return err
	}
	for range 20 {
		if err := errors.Join(client.FlushAll(ctx).Err(), pause(ctx, 100*time.Millisecond)); err != nil {
			return err
		}
	}
	return b.restAgain(ctx, "after the last FLUSHALL")
}

// provisionWith runs `provision` with other settings than the fleet's.
func (b *bed) provisionWith(ctx context.Context, env ...string) error {
	res, err := b.fleet.CommandWith(ctx, env, "provision")
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("provision: exit code %d: %s", res.Code, res.Stderr)
	}
	return err
}
