package observed_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/objstore/objstoretest"
	"github.com/twinreel/twinreel/pkg/objstore/observed"
)

// witness notes what it is asked and told.
type witness struct {
	mu     sync.Mutex
	refuse error
	asked  []observed.Kind
	failed []fault.Class
	wrote  int
}

func (w *witness) Before(_ context.Context, c observed.Call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, c.Kind)
	return w.refuse
}

func (w *witness) Failed(_ observed.Call, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, fault.ClassOf(err))
}

func (w *witness) Wrote(observed.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote++
}

func (w *witness) saw(t *testing.T, wrote int, failed ...fault.Class) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrote != wrote || !slices.Equal(w.failed, failed) {
		t.Errorf("saw %d writes and the failures %v, want %d and %v", w.wrote, w.failed, wrote, failed)
	}
}

func TestConformance(t *testing.T) {
	for _, run := range []func(*testing.T, func(*testing.T) objstoretest.Pair){objstoretest.Run, objstoretest.RunStreams} {
		run(t, func(t *testing.T) objstoretest.Pair {
			s := memstore.New("recordings")
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			s.ServeAt(server.URL)
			lost := fault.New(fault.Unavailable, fault.Store, "wait for the answer", objstore.ErrUnknown)
			return objstoretest.Pair{
				Writer: observed.Wrap(s, &witness{}), Reader: s,
				Look: func(t testing.TB, key string) (string, map[string]string) {
					o, ok := s.Object(key)
					if !ok {
						t.Fatalf("%s is not there", key)
					}
					return o.ContentType, o.Tags
				},
				LoseAnswers: func() func() {
					s.After(memstore.Put, memstore.Always(lost))
					s.After(memstore.Commit, memstore.Always(lost))
					return s.Heal
				},
			}
		})
	}
}

// plain hides that a store takes streams.
type plain struct{ objstore.Writer }

func TestAStoreWithoutStreamsStaysOne(t *testing.T) {
	if _, ok := observed.Wrap(plain{memstore.New("b")}, &witness{}).(objstore.Streamer); ok {
		t.Error("it says that it takes streams")
	}
}

var errBroken = errors.New("broken on purpose")

func broken(c fault.Class) error { return fault.New(c, fault.Store, "put", errBroken) }

func put(ctx context.Context, s objstore.Writer, key string) error {
	body := []byte("some bytes")
	_, err := s.Put(ctx, key, body, digest.Of(body), objstore.Options{})
	return err
}

func TestOnlyWhatSaysSomethingAboutTheStoreIsTold(t *testing.T) {
	for class, told := range map[fault.Class]bool{
		fault.Unavailable: true, fault.Throttled: true, fault.Denied: true,
		fault.Transient: false, fault.Permanent: false, fault.Corrupt: false, fault.Conflict: false,
	} {
		t.Run(class.String(), func(t *testing.T) {
			store, w := memstore.New("b"), &witness{}
			store.Before(memstore.Put, memstore.Always(broken(class)))
			_ = put(t.Context(), observed.Wrap(store, w), "recordings/r.wav")
			if told {
				w.saw(t, 0, class)
			} else {
				w.saw(t, 0)
			}
		})
	}
}

func TestAnswersOfAHealthyStoreAreNoFailures(t *testing.T) {
	w := &witness{}
	s := observed.Wrap(memstore.New("b"), w)
	if _, err := s.Stat(t.Context(), "recordings/none.wav"); !errors.Is(err, objstore.ErrNotExist) {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "recordings/r.wav"); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "recordings/r.wav"); !errors.Is(err, objstore.ErrUnknown) {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "recordings/r.wav"); err != nil {
		t.Fatal(err)
	}
	w.saw(t, 1) // a look is no write
}

func TestALostAnswerIsAFailure(t *testing.T) {
	store, w := memstore.New("b"), &witness{}
	store.After(memstore.Put, memstore.Always(fault.New(fault.Unavailable, fault.Store, "put", objstore.ErrUnknown)))
	if err := put(t.Context(), observed.Wrap(store, w), "recordings/r.wav"); !errors.Is(err, objstore.ErrUnknown) {
		t.Fatal(err)
	}
	w.saw(t, 0, fault.Unavailable)
}

func TestWhatWeGaveUpIsNobodysFailureButATimeOutIs(t *testing.T) {
	store, w := memstore.New("b"), &witness{}
	s := observed.Wrap(store, w)
	cancelled, cancel := context.WithCancel(t.Context())
	store.Before(memstore.Put, func(context.Context, memstore.Call) error { cancel(); return broken(fault.Unavailable) })
	_ = put(cancelled, s, "recordings/r.wav")
	w.saw(t, 0)
	late, stop := context.WithTimeout(t.Context(), time.Nanosecond)
	defer stop()
	<-late.Done()
	_ = put(late, s, "recordings/r.wav")
	w.saw(t, 0, fault.Unavailable)
}

func TestARefusedCallDoesNotReachTheStore(t *testing.T) {
	store, w := memstore.New("b"), &witness{refuse: errBroken}
	if err := put(t.Context(), observed.Wrap(store, w), "recordings/r.wav"); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if store.Calls(memstore.Put) != 0 {
		t.Error("it did")
	}
	w.saw(t, 0)
}

func TestMediaBeginAndASidecarGoesOn(t *testing.T) {
	w := &witness{}
	s := observed.Wrap(memstore.New("b"), w)
	ctx := t.Context()
	_ = put(ctx, s, "recordings/r.wav")
	_ = put(ctx, s, "metadata/r.json")
	u, err := s.Create(ctx, "recordings/p.wav", objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("part")
	_ = u.Part(ctx, 1, body, digest.CRC64(body))
	_, _ = u.Commit(ctx, digest.Of(body), nil)
	_ = u.Abort(ctx)
	_ = s.Tag(ctx, "recordings/p.wav", nil)
	_, _ = s.ReadSidecar(ctx, "metadata/r.json")
	want := []observed.Kind{
		observed.Begins, observed.Goes, observed.Begins, observed.Goes, observed.Goes, observed.CleansUp, observed.Goes, observed.Looks,
	}
	if !slices.Equal(w.asked, want) {
		t.Errorf("asked %v, want %v", w.asked, want)
	}
	w.saw(t, 4) // both puts, the part, the commit
}

func TestAFailedAbortSaysNothingNew(t *testing.T) {
	store, w := memstore.New("b"), &witness{}
	store.Before(memstore.Part, memstore.Always(broken(fault.Unavailable)))
	store.Before(memstore.Abort, memstore.Always(broken(fault.Unavailable)))
	u, err := observed.Wrap(store, w).Create(t.Context(), "recordings/p.wav", objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = u.Part(t.Context(), 1, []byte("x"), digest.CRC64([]byte("x")))
	_ = u.Abort(t.Context())
	w.saw(t, 0, fault.Unavailable)
}

// stream sends a stream whose second half comes after a wait.
func stream(t *testing.T, store *memstore.Store, w *witness, wait time.Duration) error {
	t.Helper()
	s, ok := observed.Wrap(store, w).(objstore.Streamer)
	if !ok {
		t.Fatal("no streamer")
	}
	u, err := s.Stream(t.Context(), "recordings/s.wav", 4, objstore.Options{})
	if err != nil {
		return err
	}
	_, _ = u.Write([]byte("ab"))
	time.Sleep(wait)
	if _, err := u.Write([]byte("cd")); err != nil {
		return errors.Join(err, u.Abort(t.Context()))
	}
	_, err = u.Commit(t.Context(), digest.Of([]byte("abcd")), nil)
	return err
}

func TestAStreamThatWasKeptWaitingForTheMediaIsNotTheStoresFailure(t *testing.T) {
	for _, op := range []memstore.Op{memstore.Write, memstore.Commit} {
		synctest.Test(t, func(t *testing.T) {
			store, prompt, late := memstore.New("b"), &witness{}, &witness{}
			store.Before(op, func(_ context.Context, c memstore.Call) error {
				if c.Op == memstore.Commit || c.N%2 == 0 {
					return broken(fault.Unavailable)
				}
				return nil
			})
			if stream(t, store, prompt, time.Second) == nil || stream(t, store, late, time.Minute) == nil {
				t.Fatal("it did not break")
			}
			prompt.saw(t, 0, fault.Unavailable)
			late.saw(t, 0)
		})
	}
}

func TestAStreamThatWentWellIsAWriteHoweverSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		if err := stream(t, memstore.New("b"), w, time.Minute); err != nil {
			t.Fatal(err)
		}
		w.saw(t, 1)
	})
}
