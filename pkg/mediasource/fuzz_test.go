package mediasource

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
)

// No page of text passes for a recording, whatever the format it is said to be.
func FuzzCheckMagic(f *testing.F) {
	for _, seed := range []string{
		"RIFF\x24\x00\x00\x00WAVE", "\x00\x00\x00\x20ftypisom", "ID3\x04\x00", "\xff\xfb\x90\x64", "OggS", "\x1a\x45\xdf\xa3", "fLaC", "<!DOCTYPE html>", `{"error":"x"}`,
		"\xef\xbb\xbf<html>", "\xff\xfe<\x00h\x00", "\xfe\xff\x00<\x00h", "", "    ftyp", "\r\n<?xml",
	} {
		f.Add([]byte(seed))
	}
	for _, seed := range []string{"<h1>free trial", "<br>skip", "<!--ftyp", "{   wide"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		head := string(in[:min(len(in), headBytes)])
		text := strings.HasPrefix(head, "<") || strings.HasPrefix(head, "{") || strings.HasPrefix(head, "\xef\xbb\xbf") ||
			strings.HasPrefix(head, "\xff\xfe") && len(head) > 3 && head[3] == 0
		if !text || len(head) >= 8 && head[4:8] == "mdat" { // no word of any page; and its box may have any size
			return
		}
		for _, format := range event.Formats() {
			if err := checkMagic(format, []byte(head)); err == nil {
				t.Fatalf("%q passes for %s", head, format)
			}
		}
	})
}

// Wherever an answer sends us on to, what is asked next is http or https, names a host, and no address in disguise.
func FuzzRedirect(f *testing.F) {
	for _, seed := range []string{
		"https://cdn.example.com/b", "/b", "b?c", "//other/b", "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd", "gopher://x", "https://",
		"https://user:pw@h/", "https:opaque", "http://1.2.3.4.:80/", "\x00", "http://[::1%25lo]/", "https://h:99999/", "?", "#",
	} {
		f.Add(seed, http.StatusFound)
	}
	base, err := url.Parse("https://cdn.example.com/a?sig=1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, location string, status int) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}, Request: &http.Request{URL: base}}
		next, err := redirect(resp)
		if err != nil {
			if strings.Contains(err.Error(), location) && len(location) > 8 {
				t.Fatalf("the error shows where to: %v", err)
			}
			return
		}
		if next == nil {
			return
		}
		if err := newGuard(Config{}, nil).may(t.Context(), next); err != nil {
			return
		}
		host := next.Hostname()
		if next.Scheme != "https" || host == "" {
			t.Fatalf("%q would be asked", next)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return // judged when it is dialled
		}
		if last := host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:]; strings.Trim(last, "0123456789.") == "" {
			t.Fatalf("%q is an address in disguise", host)
		}
	})
}
