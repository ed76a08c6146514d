package story

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// State is how far the story is.
type State struct {
	// Answered is how many webhooks were answered, of Webhooks.
	Answered, Webhooks int64
	// Bytes in each tier, of Total.
	Bytes map[string]int64
	// Recordings in each tier, of Recordings.
	Have       map[string]int
	Total      int64
	Recordings int
	// Read is how much of both stores was read back, once that has begun.
	Read int64
}

// Screen shows how the story goes. Its methods may be called from several goroutines.
type Screen interface {
	// Say prints one line that stays.
	Say(format string, args ...any)
	// Show shows how far the story is; it may be called often.
	Show(s State)
	// Close ends the progress display; Say goes on working.
	Close()
}

// every is how often lines without a terminal report progress.
const every = 3 * time.Second

// NewScreen is a screen with bars for a terminal, or with plain lines for anything else.
func NewScreen(out io.Writer, terminal bool) Screen {
	if !terminal {
		return &lines{out: out, now: time.Now, start: time.Now()}
	}
	return &bars{out: out, progress: mpb.New(mpb.WithOutput(out), mpb.WithWidth(48)), start: time.Now(), bars: make(map[string]*mpb.Bar)}
}

// lines is a Screen for logs and pipes.
type lines struct {
	out   io.Writer
	now   func() time.Time
	start time.Time

	mu    sync.Mutex
	shown time.Time
	last  string
}

// Say implements Screen.
func (l *lines) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.print(fmt.Sprintf(format, args...))
}

func (l *lines) print(line string) {
	fmt.Fprintf(l.out, "%s  %s\n", stamp(l.now().Sub(l.start)), line)
}

// Show implements Screen: a line now and then, when something has changed.
func (l *lines) Show(s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now().Sub(l.shown) < every {
		return
	}
	if line := s.line(); line != l.last {
		l.print("  " + line)
		l.last, l.shown = line, l.now()
	}
}

// Close implements Screen.
func (l *lines) Close() {}

// line is the state on one line.
func (s State) line() string {
	if s.Read > 0 {
		return fmt.Sprintf("read back %s of %s", Size(s.Read), Size(2*s.Total))
	}
	parts := []string{fmt.Sprintf("webhooks answered %d/%d", s.Answered, s.Webhooks)}
	for _, tier := range Tiers() {
		parts = append(parts, fmt.Sprintf("%s %d/%d (%s)", tier, s.Have[tier], s.Recordings, Size(s.Bytes[tier])))
	}
	return strings.Join(parts, ", ")
}

// bars is a Screen for a terminal.
type bars struct {
	out   io.Writer
	start time.Time

	mu       sync.Mutex
	progress *mpb.Progress // nil once closed
	bars     map[string]*mpb.Bar
}

// Say implements Screen: above the bars.
func (b *bars) Say(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := fmt.Sprintf("%s  %s\n", stamp(time.Since(b.start)), fmt.Sprintf(format, args...))
	if b.progress != nil {
		// It fails only once the display has ended, and then the line goes out directly.
		if _, err := b.progress.Write([]byte(line)); err == nil {
			return
		}
	}
	fmt.Fprint(b.out, line)
}

// Show implements Screen.
func (b *bars) Show(s State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return
	}
	b.set("webhooks", s.Answered, s.Webhooks, decor.CountersNoUnit("%d / %d"))
	for _, tier := range Tiers() {
		b.set(tier, s.Bytes[tier], s.Total, decor.CountersKiloByte("% .1f / % .1f"))
	}
	if s.Read > 0 {
		b.set("read back", s.Read, 2*s.Total, decor.CountersKiloByte("% .1f / % .1f"))
	}
}

// set moves a bar, which comes into being when it is first set.
func (b *bars) set(name string, now, total int64, counters decor.Decorator) {
	bar := b.bars[name]
	if bar == nil {
		// Made without a total, a bar that is full stays until Close.
		bar = b.progress.AddBar(0,
			mpb.PrependDecorators(decor.Name(name, decor.WC{W: 10, C: decor.DindentRight})),
			mpb.AppendDecorators(counters))
		b.bars[name] = bar
	}
	bar.SetTotal(max(total, now), false)
	bar.SetCurrent(now)
}

// Close implements Screen.
func (b *bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return
	}
	for _, bar := range b.bars {
		bar.SetTotal(-1, true)
	}
	b.progress.Wait()
	b.progress = nil
}

// stamp is a time since the start: 01:23.4.
func stamp(d time.Duration) string {
	return fmt.Sprintf("%02d:%04.1f", int(d.Minutes()), d.Seconds()-60*float64(int(d.Minutes())))
}

// Size is a number of bytes in words: 1.3 GB.
func Size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
}
