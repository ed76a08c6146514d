package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
)

// part is a process of the benchmark's own: this very program, run as `local bench-part NAME`. It ends when its stdin does.
type part struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
	errs  strings.Builder
	URL   string // what it serves, for those that serve
}

// start runs a part and reads its first line, which is the address that it serves or the word ready.
func start(ctx context.Context, self, name string, input any) (*part, error) {
	p := &part{name: name, cmd: exec.CommandContext(ctx, self, "bench-part", name)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = &p.errs
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := json.NewEncoder(p.stdin).Encode(input); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), p.close())
	}
	if p.URL, err = p.line(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// line reads the next line that the part prints.
func (p *part) line() (string, error) {
	line, err := p.lines.ReadString('\n')
	if err != nil {
		_ = p.stdin.Close()
		_ = p.cmd.Wait()
		return "", fmt.Errorf("%s ended: %s", p.name, strings.TrimSpace(p.errs.String()))
	}
	return strings.TrimSpace(line), nil
}

// say sends the part a line.
func (p *part) say(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

func (p *part) pid() int { return p.cmd.Process.Pid }

// counts asks a part that serves how many requests it has had, by kind.
func (p *part) counts(ctx context.Context) (map[string]int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/_counts", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its counts: %w", p.name, err)
	}
	defer resp.Body.Close()
	var counts map[string]int64
	return counts, json.NewDecoder(resp.Body).Decode(&counts)
}

// close ends the part.
func (p *part) close() error {
	if p == nil {
		return nil
	}
	_ = p.stdin.Close()
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Wait() // what it had to say came as a line, or in its absence
	}
	return nil
}
