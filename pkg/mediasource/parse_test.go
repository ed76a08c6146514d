package mediasource

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

func TestContentRangesAreReadStrictly(t *testing.T) {
	for header, want := range map[string]span{
		"bytes 0-0/1": {0, 0, 1}, "bytes 5-9/10": {5, 9, 10}, "bytes 5-9/*": {5, 9, -1}, "BYTES 0-1/2": {0, 1, 2},
	} {
		if got, err := parseContentRange(header); err != nil || got != want {
			t.Errorf("%q: %v, %v", header, got, err)
		}
	}
	for _, header := range []string{
		"", "bytes", "bytes ", "bytes */10", "bytes 0-9", "bytes 0-9/", "bytes -9/10", "bytes 0-/10", "bytes 9-5/10", "bytes 0-10/10", "bytes +0-9/10", "bytes 0-9/+10",
		"bytes 0-9/-1", "bytes=0-9/10", "items 0-9/10", "bytes 0 - 9/10", "bytes 0-9/10 ", "bytes 0-9/10/11", "bytes 0-9-9/10", "bytes 0x0-0x9/10",
		"bytes 0-9223372036854775807/9223372036854775807", "bytes 0-99999999999999999999/*",
	} {
		if got, err := parseContentRange(header); err == nil {
			t.Errorf("%q was read as %v", header, got)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-0/1", "bytes 5-9/*", "bytes */10", "bytes 0-9", "bytes 00-09/010", "bytes 9-5/10", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := parseContentRange(header)
		if err != nil {
			return
		}
		if got.first < 0 || got.last < got.first || got.length() <= 0 || (got.total != -1 && got.last >= got.total) {
			t.Fatalf("%q: %+v cannot be", header, got)
		}
		if again, err := parseContentRange(got.String()); err != nil || again != got {
			t.Fatalf("%q: %+v is written %q and read %+v, %v", header, got, got, again, err)
		}
	})
}

func TestEveryFormatHasItsFirstBytes(t *testing.T) {
	good := map[string][]string{
		"mp4":  {"\x00\x00\x00\x20ftypisom", "\x00\x00\x00\x08moov", "\x00\x00\x00\x08free....", "\x00\x00\x00\x08mdat....", "\x00\x00\x00\x18styp....", "\x00\x00\x00\x08wide....", "\x00\x00\x00\x08skip...."},
		"m4a":  {"\x00\x00\x00\x20ftypM4A "},
		"mp3":  {"ID3\x04\x00", "\xff\xfb\x90\x64", "\xff\xf3\x84\xc4", "\xff\xfd\x90\x64"},
		"wav":  {"RIFF\x24\x00\x00\x00WAVE", "RF64\xff\xff\xff\xffWAVE", "BW64\xff\xff\xff\xffWAVE"},
		"ogg":  {"OggS\x00"},
		"opus": {"OggS\x00"},
		"webm": {"\x1a\x45\xdf\xa3\x9f"},
		"mkv":  {"\x1a\x45\xdf\xa3\xa3"},
		"flac": {"fLaC\x00", "ID3\x03\x00"},
	}
	bad := []string{
		"", "R", "<html><body>", "<!DOCTYPE html>", `{"error":{"code":403}}`, "\xef\xbb\xbf<html><body>", "\xff\xfe<\x00h\x00t\x00m\x00l\x00", "\xff\xfe{\x00\"\x00e\x00",
		"%PDF-1.7\n....", "PK\x03\x04........", "\x1f\x8b\x08\x00........", "\xff\xf1\x50\x80....", "RIFF....AVI ", "\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	}
	for _, format := range event.Formats() {
		if len(good[format]) == 0 {
			t.Errorf("no example of %s", format)
		}
		for _, head := range good[format] {
			if err := checkMagic(format, []byte(head)); err != nil {
				t.Errorf("%s: %q was refused: %v", format, head, err)
			}
		}
		for _, head := range bad {
			if checkMagic(format, []byte(head)) == nil {
				t.Errorf("%s: %q was taken", format, head)
			}
		}
	}
	if checkMagic("exe", []byte("OggS")) == nil {
		t.Error("an unknown format was taken")
	}
}

func TestWhatEndsInANumberIsNoName(t *testing.T) {
	for host, odd := range map[string]bool{
		"cdn.example.com": false, "127.0.0.1": false, "::1": false, "fe80::1%eth0": false, "localhost": false, "a.b3": false, "3com.example": false, "0xg": false, "1e100.net": false,
		"127.1": true, "2130706433": true, "0x7f.1": true, "0x7f000001": true, "0X7F.0.0.0x1": true, "0177.0.0.1": true, "127.0.0.1.": true, "1.2.3.4.5": true, "example.0x": true, "a.1": true,
	} {
		if oddAddress(host) != odd {
			t.Errorf("%s: %v", host, !odd)
		}
	}
}

func TestTheSettingsAreChecked(t *testing.T) {
	load := func(set map[string]string) (Config, []string) {
		var c Config
		var names []string
		err := settings.Load(&c, func(name string) (string, bool) { v, ok := set[name]; return v, ok })
		var problems settings.Problems
		if errors.As(err, &problems) {
			for _, p := range problems {
				names = append(names, p.Variable)
			}
		}
		return c, names
	}
	c, wrong := load(nil)
	if len(wrong) > 0 || c.RangeThreshold != 64<<20 || c.MaxBytes != 20<<30 || c.AllowHTTP || c.StallTimeout != 30*time.Second || len(c.AllowedCIDRs) > 0 {
		t.Errorf("defaults: %+v, wrong: %v", c, wrong)
	}
	_, wrong = load(map[string]string{
		"TWINREEL_RANGE_THRESHOLD": "0", "TWINREEL_MAX_RECORDING_BYTES": "0", "TWINREEL_SOURCE_ALLOWED_CIDRS": "10.0.0.1", "TWINREEL_SOURCE_STALL_TIMEOUT": "1ms",
	})
	want := []string{"TWINREEL_MAX_RECORDING_BYTES", "TWINREEL_RANGE_THRESHOLD", "TWINREEL_SOURCE_ALLOWED_CIDRS", "TWINREEL_SOURCE_STALL_TIMEOUT"}
	if !slices.Equal(wrong, want) {
		t.Errorf("wrong: %v, want %v", wrong, want)
	}
	c, wrong = load(map[string]string{"TWINREEL_SOURCE_ALLOWED_CIDRS": "10.0.0.0/8, fd00::/8"})
	if v4, v6 := c.allowed(); len(wrong) > 0 || len(v4) != 1 || len(v6) != 1 {
		t.Errorf("%v %v, wrong: %v", v4, v6, wrong)
	}
}
