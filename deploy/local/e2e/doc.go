// Package e2e holds Twinreel as a whole to its contract: the real programs, as processes with the environment that a
// user would set, on real servers, driven by webhooks and the operator's commands alone, and judged by an independent
// reader of both stores.
//
// Each test starts a stack of its own. With -short nothing of this runs.
package e2e
