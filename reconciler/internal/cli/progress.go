package cli

import (
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// tellEvery is how often a command that runs for long says how far it is, where it cannot draw.
const tellEvery = 10 * time.Second

// progress tells on stderr how far a command is: in a terminal by a bar, elsewhere by a line now and then.
type progress struct {
	step func()
	end  func()
}

// progress begins to tell of so many things, of which each will be what.
func (a *app) progress(what string, total int) progress {
	f, ok := a.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return a.lines(what, total)
	}
	p := mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	bar := p.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name(what+" "), decor.CountersNoUnit("%d of %d")),
		mpb.AppendDecorators(decor.AverageSpeed(0, "%.0f/s"), decor.AverageETA(decor.ET_STYLE_GO)),
	)
	return progress{
		step: bar.Increment,
		end:  func() { bar.Abort(false); p.Wait() }, // a bar that is full stays so
	}
}

func (a *app) lines(what string, total int) progress {
	done, told := 0, time.Now()
	return progress{
		step: func() {
			if done++; time.Since(told) >= tellEvery {
				told = time.Now()
				a.say("%s %d of %d", what, done, total)
			}
		},
		end: func() {},
	}
}

// reading begins to tell how much of so many bytes is read. end is called once.
func (a *app) reading(total int64) (read func(n int), end func()) {
	f, ok := a.Stderr.(*os.File)
	if ok && term.IsTerminal(int(f.Fd())) {
		p := mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
		bar := p.AddBar(total,
			mpb.PrependDecorators(decor.Name("read "), decor.CountersKibiByte("% .1f of % .1f")),
			mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.AverageETA(decor.ET_STYLE_GO)),
		)
		return bar.IncrBy, func() { bar.Abort(false); p.Wait() }
	}
	var done int64
	told := time.Now()
	return func(n int) {
		if done += int64(n); time.Since(told) >= tellEvery {
			told = time.Now()
			a.say("read %d of %d bytes", done, total)
		}
	}, func() {}
}
