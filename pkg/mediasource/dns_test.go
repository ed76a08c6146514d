package mediasource_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

// names is a name server on this machine that an attacker runs: it answers each question for addresses of any name by the
// next of its answers, and by the last for ever.
type names struct {
	mu      sync.Mutex
	answers [][]string
	asked   int
}

// answer returns the addresses of that family to tell now. Each family has its own turn, so that the two questions of one
// look-up get the same answer.
func (n *names) next(v6 bool) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.answers[min(n.asked/2, len(n.answers)-1)]
	n.asked++
	var out []netip.Addr
	for _, s := range list {
		if a := netip.MustParseAddr(s); a.Is4() != v6 {
			out = append(out, a)
		}
	}
	return out
}

func (n *names) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked / 2
}

// nameServer starts one and returns what looks names up at it.
func nameServer(t *testing.T, answers ...[]string) (*names, mediasource.Option) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, ended := &names{answers: answers}, make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := n.reply(buf[:size]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}
	return n, mediasource.Resolver(&net.Resolver{PreferGo: true, Dial: dial})
}

// reply answers one question, nil if it cannot be read.
func (n *names) reply(b []byte) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(b)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	resource := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	for _, a := range n.next(q.Type == dnsmessage.TypeAAAA) {
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: a.As16()}
		if q.Type == dnsmessage.TypeA {
			body = &dnsmessage.AResource{A: a.As4()}
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: resource, Body: body})
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

// byName is the origin's link by a name that only the attacker knows.
func byName(o *origin) string {
	_, port, _ := net.SplitHostPort(o.host())
	return "http://media.attacker.example.:" + port + "/m/rec-1.wav?sig=" + secret
}

func TestANameThatPointsInsideIsRefusedWhateverItsAddressLooksLike(t *testing.T) {
	inside := serve(t, file(wav(100), ""))
	c := config()
	c.AllowedCIDRs = []string{"192.0.2.0/24"}
	for _, address := range []string{
		"127.0.0.1", "0.0.0.0", "10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1", "169.254.169.254", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2001:0:7f00:1::", "2001:db8::1", "100::1",
	} {
		_, option := nameServer(t, []string{address})
		err := wantFault(t, source(t, c, option), mediasource.Request{URL: byName(inside), Format: "wav", Size: -1}, fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
		if err == nil {
			t.Errorf("%s was asked", address)
		}
	}
	if n := len(inside.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// TestANameThatChangesItsAnswerGetsNothing is DNS rebinding: the first look-up is harmless, the next points inside.
func TestANameThatChangesItsAnswerGetsNothing(t *testing.T) {
	body := wav(5 * part)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	hold := func(address string) *origin { // two hosts on one port
		listener, err := net.Listen("tcp", address+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		o := &origin{}
		o.Server = newServerOn(listener, o.remember(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close") // each range looks the name up anew
			file(body, `"v1"`)(w, r)
		}))
		t.Cleanup(o.Close)
		return o
	}
	outside, inside := hold("127.0.0.1"), hold("127.0.0.2")
	c := config()
	c.AllowedCIDRs = []string{"127.0.0.1/32"}
	n, option := nameServer(t, []string{"127.0.0.1"}, []string{"127.0.0.2"})
	r := mediasource.Request{URL: byName(outside), Format: "wav", Size: int64(len(body))}
	wantFault(t, source(t, c, option), r, fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
	if len(outside.requests()) != 1 || len(inside.requests()) != 0 || n.count() < 2 {
		t.Errorf("asked outside %d times, inside %d times, the name server %d times", len(outside.requests()), len(inside.requests()), n.count())
	}
}

func TestOfSeveralAddressesOnlyAllowedOnesAreDialled(t *testing.T) {
	o := serve(t, file(wav(100), ""))
	c := config()
	c.AllowedCIDRs = []string{"127.0.0.1/32"}
	_, option := nameServer(t, []string{"127.0.0.2", "169.254.169.254", "127.0.0.1"})
	wantMedia(t, source(t, c, option), mediasource.Request{URL: byName(o), Format: "wav", Size: -1}, wav(100))
}

func TestANameThatDoesNotExistIsTheHostsFailure(t *testing.T) {
	_, option := nameServer(t, nil)
	err := wantFault(t, source(t, config(), option), mediasource.Request{URL: "http://media.attacker.example./m/?sig=" + secret, Format: "wav", Size: -1}, fault.Unavailable, "no such host")
	if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("it names the name server: %v", err)
	}
}
