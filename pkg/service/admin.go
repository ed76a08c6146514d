package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// admin is the HTTP server of health and metrics.
type admin struct {
	server *http.Server
	addr   net.Addr
}

// Listen opens addr, which variable sets. The error names both and says what to do.
func Listen(variable, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s (%s): the address is in use by another program; end it or set another address", addr, variable)
	case err != nil:
		return nil, fmt.Errorf("listen on %s (%s): %w", addr, variable, err)
	}
	return l, nil
}

// startAdmin serves until stop is called.
func startAdmin(addr string, s *Service) (*admin, error) {
	l, err := Listen("TWINREEL_ADMIN_ADDR", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{}))
	a := &admin{addr: l.Addr(), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(zap.NewNop()),
	}}
	go func() {
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.Log.Error("health and metrics are no longer served", zap.Error(err))
		}
	}()
	return a, nil
}

// stop ends the server after a moment for answers under way.
func (a *admin) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
}

// serveReady answers /readyz: 200 or 503, with every check.
func (h *health) serveReady(w http.ResponseWriter, r *http.Request) {
	rep, err := h.report(r.Context())
	if err != nil {
		return // the client is gone
	}
	if h.stopping.Load() {
		rep.Ready = false
		rep.Checks = append(rep.Checks[:len(rep.Checks):len(rep.Checks)], result{"running", false, true, "stopping"})
	}
	answer(w, rep.Ready, rep)
}

// serveLive answers /livez.
func (h *health) serveLive(w http.ResponseWriter, _ *http.Request) {
	ok, checks := h.live()
	answer(w, ok, struct {
		Alive  bool     `json:"alive"`
		Checks []result `json:"checks"`
	}{ok, checks})
}

func answer(w http.ResponseWriter, ok bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
