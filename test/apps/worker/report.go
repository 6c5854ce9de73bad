// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package worker

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/keylife/vault-plugin-keylife/client"
)

// Report counts what the client of an application said of itself.
type Report struct {
	mu         sync.Mutex
	Operations map[string]int `json:"operations"` // by "encrypt local ok"
	Requests   map[string]int `json:"requests"`   // by "datakey ok"
}

func newReport() *Report { return &Report{Operations: map[string]int{}, Requests: map[string]int{}} }

// Operation is of client.Metrics.
func (r *Report) Operation(o client.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Operations[o.Op+" "+string(o.Source)+" "+string(o.Outcome)]++
}

// Request is of client.Metrics.
func (r *Report) Request(_ context.Context, _, op string) func(client.Outcome) {
	return func(outcome client.Outcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Requests[op+" "+string(outcome)]++
	}
}

func (r *Report) write(w http.ResponseWriter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(r)
}
