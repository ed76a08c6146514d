package platform

import (
	"encoding/json"
	"net/http"
	"slices"
)

// resolverPath is where a fresh link to a recording's media is asked for.
const resolverPath = "/api/v1/{source}/recordings/{recordingId}/media"

// ResolverURL returns where a fresh link is asked for, with {source} and {recordingId} in it.
func (p *Platform) ResolverURL() string { return p.url + resolverPath }

// APIToken returns the bearer token that the resolver wants, "" for none.
func (p *Platform) APIToken() string { return p.cfg.APIToken }

// serveLink answers a request for a fresh link: 401 without the token, 404 for no such recording, 202 while it is still
// being transcoded, else the link, which is valid for Config.LinkTTL.
func (p *Platform) serveLink(w http.ResponseWriter, r *http.Request) {
	if p.cfg.APIToken != "" && r.Header.Get("Authorization") != "Bearer "+p.cfg.APIToken {
		http.Error(w, "no such token", http.StatusUnauthorized)
		return
	}
	key := r.PathValue("recordingId")
	if source := r.PathValue("source"); source != defaultSource {
		key = source + "/" + key
	}
	rec := p.Recording(key)
	if rec == nil {
		http.NotFound(w, r)
		return
	}
	link := p.Link(rec, p.cfg.LinkTTL)
	if !rec.resolve(link) {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"mediaUrl": link}) // the client may have left
}

// resolve counts a request for a fresh link and reports whether it may be given; then it is kept.
func (r *Recording) resolve(link string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked++; r.asked <= r.transcoding {
		return false
	}
	r.fresh = append(r.fresh, link)
	return true
}

// Links returns every link to the media that was given out: the webhooks' and the resolver's. They are secrets.
func (r *Recording) Links() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat([]string{r.mediaURL}, r.fresh)
}
