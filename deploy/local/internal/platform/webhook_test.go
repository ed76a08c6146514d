package platform_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

func hubSignature(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWebhookSaysWhatIsTrueOfTheRecording(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{
		ID: "rec-1", Size: 96_044, SendSize: true, SendSHA256: true, CompletedAt: time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC),
		Participants: []platform.Participant{{ID: "p1", Role: "agent", Name: "Jürgen Ωmega"}}, Tags: map[string]string{"queue": "a@b é"},
	})
	h := p.Webhook(rec)
	if got, want := h.Header.Get("X-Hub-Signature-256"), hubSignature(secret, h.Body); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if h.Header.Get("Content-Type") != "application/json" || h.Source != "default" {
		t.Errorf("content type %q, source %q", h.Header.Get("Content-Type"), h.Source)
	}
	var got map[string]any
	if err := json.Unmarshal(h.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"event": "RECORDING_COMPLETED", "eventId": "ev-rec-1", "recordingId": "rec-1", "mediaFormat": "wav", "duration": 1.0,
		"participants": []any{map[string]any{"id": "p1", "role": "agent", "name": "Jürgen Ωmega"}},
		"mediaUrl":     rec.MediaURL(), "size": 96044.0, "sha256": rec.SHA256(), "tags": map[string]any{"queue": "a@b é"},
		"completedAt": "2026-11-23T10:00:00Z",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("body\n%v, want\n%v", got, want)
	}
}

func TestWebhookCanBeEditedBeforeItIsSigned(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: 1000})
	h := p.Webhook(rec, func(e *platform.Event) { e.EventID = "ev-other" }, func(e *platform.Event) { e.MediaFormat = "mp3" },
		func(e *platform.Event) { e.Participants[0].Name, e.Tags["queue"] = "Somebody Else", "another" })
	if got, want := h.Header.Get("X-Hub-Signature-256"), hubSignature(secret, h.Body); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	var e platform.Event
	if err := json.Unmarshal(h.Body, &e); err != nil {
		t.Fatal(err)
	}
	if e.EventID != "ev-other" || e.MediaFormat != "mp3" || e.Size != nil || e.SHA256 != "" {
		t.Errorf("event %+v", e)
	}
	if rec.Participants[0].Name == "Somebody Else" || rec.Tags["queue"] == "another" {
		t.Error("an edit changed what is true of the recording")
	}
	if again := p.Webhook(rec); again.Event.EventID != rec.EventID || string(again.Body) != string(p.Webhook(rec).Body) {
		t.Error("an edit outlived its webhook, or equal events have other bodies")
	}
}

func TestWebhookPromisesAnotherSizeWhenToldTo(t *testing.T) {
	p := start(t, platform.Config{})
	rec := add(t, p, platform.Spec{Size: 2000, Faults: platform.Faults{PromisedSize: 1000}})
	if size := p.Webhook(rec).Event.Size; size == nil || *size != 1000 {
		t.Fatalf("size %v, want 1000", size)
	}
}

func TestStandardWebhookVerifies(t *testing.T) {
	key := []byte("0123456789abcdef01234567")
	now := time.Unix(1_790_000_000, 0)
	p := start(t, platform.Config{
		Secret: "whsec_" + base64.StdEncoding.EncodeToString(key), Scheme: platform.StandardWebhooks, Now: func() time.Time { return now },
	})
	h := p.Webhook(add(t, p, platform.Spec{Size: 1000}))
	id, at := h.Header.Get("webhook-id"), h.Header.Get("webhook-timestamp")
	if id == "" || at != "1790000000" {
		t.Fatalf("id %q, timestamp %q", id, at)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(h.Body)))
	if got, want := h.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Fatalf("signature %s, want %s", got, want)
	}
}

func TestSourcesSignForThemselves(t *testing.T) {
	p := start(t, platform.Config{Sources: map[string]platform.Signing{"emea": {Secret: "of emea"}, "open": {Scheme: platform.Unsigned}}})
	rec := add(t, p, platform.Spec{ID: "rec-1", Source: "emea", Size: 1000})
	h := p.Webhook(rec)
	if h.Source != "emea" || h.Header.Get("X-Hub-Signature-256") != hubSignature("of emea", h.Body) {
		t.Error("not signed with the secret of its source")
	}
	if rec.Key() != "emea/rec-1" || rec.ObjectKey() != "recordings/emea/rec-1.wav" || rec.SidecarKey() != "metadata/emea/rec-1.json" {
		t.Errorf("keys %s, %s, %s", rec.Key(), rec.ObjectKey(), rec.SidecarKey())
	}
	if status, b := fetch(t, rec.MediaURL()); status != 200 || sum(b) != rec.SHA256() {
		t.Errorf("media of a further source: status %d", status)
	}
	if h := p.Sign("open", []byte("{}")); h.Header.Get("X-Hub-Signature-256") != "" {
		t.Error("a source without a scheme signs")
	}
}

func TestForgeriesDoNotVerifyAndNameNoRealRecording(t *testing.T) {
	standard := "whsec_" + base64.StdEncoding.EncodeToString([]byte("the secret"))
	p := start(t, platform.Config{Sources: map[string]platform.Signing{"std": {Scheme: platform.StandardWebhooks, Secret: standard}}})
	for _, source := range []string{"default", "std"} {
		rec := add(t, p, platform.Spec{ID: "rec-" + source, Source: source, Size: 1000})
		for how := range platform.ForgeryKinds {
			h := p.Forged(rec, how)
			if !strings.Contains(string(h.Body), `"forged-rec-`) {
				t.Errorf("%s, forgery %d: body names a real recording", source, how)
			}
			good := p.Sign(source, h.Body).Header
			for _, name := range []string{"X-Hub-Signature-256", "Webhook-Signature"} {
				if good.Get(name) != "" && h.Header.Get(name) == good.Get(name) {
					t.Errorf("%s, forgery %d: %s is right", source, how, name)
				}
			}
		}
	}
}

func TestInventedMetadataAreThoseOfAContactCentre(t *testing.T) {
	p := start(t, platform.Config{})
	var roles, text strings.Builder
	most := 0
	for range 100 {
		rec := add(t, p, platform.Spec{Size: 1000})
		for _, who := range rec.Participants {
			roles.WriteString(who.Role + " ")
			text.WriteString(who.Name)
		}
		for _, name := range []string{"queue", "team", "campaign", "language"} {
			if rec.Tags[name] == "" {
				t.Fatalf("no tag %s", name)
			}
			text.WriteString(rec.Tags[name])
		}
		most = max(most, len(rec.Tags))
	}
	if !utf8.ValidString(text.String()) {
		t.Error("not UTF-8")
	}
	for _, want := range []string{"é", "@", "李", "Ω"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in a hundred recordings", want)
		}
	}
	if !strings.Contains(roles.String(), "agent customer") || most <= 8 {
		t.Errorf("at most %d tags", most)
	}
}

func TestAddSaysWhatIsWrong(t *testing.T) {
	p := start(t, platform.Config{})
	add(t, p, platform.Spec{ID: "rec-1", Size: 44})
	for name, spec := range map[string]platform.Spec{
		"too small": {Size: 43}, "unknown format": {Size: 1000, Format: "exe"}, "unknown source": {Size: 1000, Source: "nowhere"},
		"ID taken": {ID: "rec-1", Size: 1000}, "ID taken in another format": {ID: "rec-1", Size: 1000, Format: "mp3"},
	} {
		if rec, err := p.Add(spec); err == nil {
			t.Errorf("%s: made %s", name, rec.Key())
		}
	}
	if n := len(p.Truth()); n != 1 {
		t.Errorf("%d recordings, want 1", n)
	}
}

func TestNewRefusesWhatCannotSign(t *testing.T) {
	for name, cfg := range map[string]platform.Config{
		"no secret": {}, "scheme": {Secret: "x", Scheme: "rot13"}, "not base64": {Secret: "whsec_%", Scheme: platform.StandardWebhooks},
		"no prefix": {Secret: "QUJD", Scheme: platform.StandardWebhooks}, "address": {Secret: "x", Listen: "127.0.0.1:-1"},
	} {
		if p, err := platform.New(cfg); err == nil {
			t.Errorf("%s: started at %s, closed: %v", name, p.URL(), p.Close())
		}
	}
}

func TestStartedWebhookIsSignedAndHasNoMedia(t *testing.T) {
	p := start(t, platform.Config{})
	h := p.Started(add(t, p, platform.Spec{Size: 1000}))
	var body map[string]any
	if err := json.Unmarshal(h.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body["event"] != "RECORDING_STARTED" || body["mediaUrl"] != nil || body["recordingId"] == "" {
		t.Errorf("body %v", body)
	}
	if h.Header.Get("X-Hub-Signature-256") != hubSignature(secret, h.Body) {
		t.Error("not signed")
	}
}
