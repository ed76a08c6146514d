package platform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// linkKey returns the key that signs media links.
func linkKey(seed uint64) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("media links "), seed))
	return sum[:]
}

// Link returns a signed link to the recording's media that is valid for ttl from now; it is born expired if ttl is
// negative. The one in a recording's webhooks is valid for the recording's own time.
func (p *Platform) Link(rec *Recording, ttl time.Duration) string {
	return p.linkUntil(rec, p.cfg.Now().Add(ttl))
}

func (p *Platform) linkUntil(rec *Recording, expires time.Time) string {
	at := strconv.FormatInt(expires.Unix(), 10)
	q := url.Values{"expires": {at}, "signature": {p.linkSignature(rec.path(), at)}}
	return p.url + rec.path() + "?" + q.Encode()
}

func (p *Platform) linkSignature(path, expires string) string {
	mac := hmac.New(sha256.New, p.linkKey)
	mac.Write([]byte(path + "\n" + expires))
	return hex.EncodeToString(mac.Sum(nil))
}

// linkValid reports whether the request's link was made by Link and has not expired.
func (p *Platform) linkValid(r *http.Request) bool {
	q := r.URL.Query()
	expires, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || !p.cfg.Now().Before(time.Unix(expires, 0)) {
		return false
	}
	want := p.linkSignature(r.URL.Path, q.Get("expires"))
	return hmac.Equal([]byte(want), []byte(q.Get("signature")))
}
