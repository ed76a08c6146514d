package sink

import (
	"net/http"
	"time"
)

// Azure is the sink that speaks Azure Blob.
type Azure struct{ store }

// NewAzure makes one.
func NewAzure() *Azure { return &Azure{newStore("azure")} }

// ServeHTTP implements http.Handler.
func (a *Azure) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Ms-Version", r.Header.Get("X-Ms-Version"))
	if r.Method != http.MethodPut {
		a.count(r, map[string]string{http.MethodGet: "get", http.MethodHead: "head"}[r.Method])
		refuse(w, http.StatusNotFound, "BlobNotFound")
		return
	}
	what := map[string]string{"": "put", "block": "block", "blocklist": "block list"}[r.URL.Query().Get("comp")]
	a.count(r, what)
	a.swallow(r.Body)
	if what != "block" && !a.create(r.URL.Path) {
		refuse(w, http.StatusConflict, "BlobAlreadyExists")
		return
	}
	h := w.Header()
	h.Set("ETag", `"0x8DFORGOTTEN"`)
	h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	if crc := r.Header.Get("X-Ms-Content-Crc64"); crc != "" {
		h.Set("X-Ms-Content-Crc64", crc)
	}
	w.WriteHeader(http.StatusCreated)
}
