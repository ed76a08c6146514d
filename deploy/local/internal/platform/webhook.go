package platform

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is the body of a RECORDING_COMPLETED webhook.
type Event struct {
	Event        string            `json:"event"`
	EventID      string            `json:"eventId,omitempty"`
	RecordingID  string            `json:"recordingId"`
	MediaFormat  string            `json:"mediaFormat"`
	Duration     float64           `json:"duration"` // seconds
	Participants []Participant     `json:"participants"`
	MediaURL     string            `json:"mediaUrl"`
	Size         *int64            `json:"size,omitempty"`
	SHA256       string            `json:"sha256,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	CompletedAt  *time.Time        `json:"completedAt,omitempty"`
}

// started is the body of a RECORDING_STARTED webhook, which has no media yet.
type started struct {
	Event       string `json:"event"`
	EventID     string `json:"eventId"`
	RecordingID string `json:"recordingId"`
	StartedAt   string `json:"startedAt"`
}

// Hook is one webhook, ready to be posted: Post takes it as it is, so it may be changed before. Its signature is made when
// the Hook is; standard-webhooks go stale five minutes later.
type Hook struct {
	Source string
	Event  Event // what Body says, of a RECORDING_COMPLETED
	Body   []byte
	Header http.Header

	rec *Recording // whose acknowledgement it would be
}

// Webhook makes the recording's signed RECORDING_COMPLETED webhook. Edits change the event before it is encoded and
// signed. Equal events give equal bodies: posting a second Hook without edits is a duplicate, byte for byte.
func (p *Platform) Webhook(rec *Recording, edits ...func(*Event)) Hook {
	e := p.event(rec)
	for _, edit := range edits {
		edit(&e)
	}
	h := p.sign(rec.Source, encode(e))
	h.Event, h.rec = e, rec
	return h
}

func (p *Platform) event(rec *Recording) Event {
	completed := rec.CompletedAt
	e := Event{
		Event: "RECORDING_COMPLETED", EventID: rec.EventID, RecordingID: rec.ID, MediaFormat: rec.Format,
		Duration: rec.DurationSeconds, Participants: slices.Clone(rec.Participants), MediaURL: rec.mediaURL, Tags: maps.Clone(rec.Tags),
		CompletedAt: &completed,
	}
	if promised := rec.Faults().PromisedSize; promised != 0 {
		e.Size = &promised
	} else if rec.sendSize {
		size := rec.Size
		e.Size = &size
	}
	if rec.sendSHA256 {
		e.SHA256 = rec.SHA256()
	}
	return e
}

// Started makes the recording's signed RECORDING_STARTED webhook, which Twinreel has to ignore.
func (p *Platform) Started(rec *Recording) Hook {
	return p.sign(rec.Source, encode(started{
		Event: "RECORDING_STARTED", EventID: rec.EventID + "-started", RecordingID: rec.ID,
		StartedAt: rec.CompletedAt.Add(-time.Duration(rec.DurationSeconds * float64(time.Second))).Format(time.RFC3339),
	}))
}

// Forgery is a way to get a signature wrong.
type Forgery int

// The forgeries.
const (
	WrongSecret  Forgery = iota // signed by somebody else
	OtherBody                   // the right secret, but over another body
	NoSignature                 // none at all
	BareHex                     // the right signature without what goes before it
	ForgeryKinds                // how many there are
)

// Forged makes a webhook that Twinreel has to refuse: about a recording "forged-<ID>", which must never be stored.
func (p *Platform) Forged(rec *Recording, how Forgery) Hook {
	e := p.event(rec)
	e.RecordingID = "forged-" + rec.ID
	body := encode(e)
	s, _ := p.signing(rec.Source)
	switch how {
	case WrongSecret:
		s.Secret = forgedSecret(s)
	case OtherBody:
		h := p.sign(rec.Source, append([]byte(" "), body...))
		h.Body = body
		return h
	}
	h := p.signWith(s, rec.Source, body)
	for _, name := range []string{"X-Hub-Signature-256", "Webhook-Signature"} {
		if how == NoSignature {
			h.Header.Del(name)
		} else if v := h.Header.Get(name); how == BareHex && v != "" {
			h.Header.Set(name, strings.TrimPrefix(strings.TrimPrefix(v, "sha256="), "v1,"))
		}
	}
	return h
}

// forgedSecret is a secret of the right form that the source does not have.
func forgedSecret(s Signing) string {
	if s.Scheme == StandardWebhooks {
		return whsec + base64.StdEncoding.EncodeToString([]byte("not the secret of this source"))
	}
	return s.Secret + " not"
}

// Sign makes a signed webhook of any body for the source, as the platform would; an unknown source gets no signature.
func (p *Platform) Sign(source string, body []byte) Hook { return p.sign(source, body) }

func (p *Platform) sign(source string, body []byte) Hook {
	s, known := p.signing(source)
	if !known {
		s.Scheme = Unsigned
	}
	return p.signWith(s, source, body)
}

func (p *Platform) signWith(s Signing, source string, body []byte) Hook {
	sum := sha256.Sum256(body)
	header, err := signatureHeaders(s, "msg_"+hex.EncodeToString(sum[:12]), body, p.cfg.Now())
	if err != nil {
		header = http.Header{} // New checked every secret: it cannot fail
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "contact-centre-webhooks/1")
	return Hook{Source: source, Body: body, Header: header}
}

// whsec goes before a secret of standard-webhooks.
const whsec = "whsec_"

// signatureHeaders signs a body: hub-sha256 as WebSub does, standard-webhooks as its specification says.
func signatureHeaders(s Signing, id string, body []byte, now time.Time) (http.Header, error) {
	h := http.Header{}
	switch s.Scheme {
	case Unsigned:
	case HubSHA256:
		if s.Secret == "" {
			return nil, fmt.Errorf("scheme %s needs a secret", s.Scheme)
		}
		h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(hmacSHA256([]byte(s.Secret), body)))
	case StandardWebhooks:
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Secret, whsec))
		if err != nil || len(key) == 0 || !strings.HasPrefix(s.Secret, whsec) {
			return nil, fmt.Errorf("scheme %s needs a secret of base64 after %q", s.Scheme, whsec)
		}
		at := strconv.FormatInt(now.Unix(), 10)
		signed := append([]byte(id+"."+at+"."), body...)
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", at)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(hmacSHA256(key, signed)))
	default:
		return nil, fmt.Errorf("scheme %q is none of %s, %s, %s", s.Scheme, HubSHA256, StandardWebhooks, Unsigned)
	}
	return h, nil
}

func hmacSHA256(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}

// encode returns v as JSON with raw UTF-8, as most platforms send it.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode a webhook: %v", err)) // an edit made a duration that is no number
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
