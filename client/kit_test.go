// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"context"
	"sync"

	"github.com/keylife/vault-plugin-keylife/client"
)

// seen remembers what the metrics were told.
type seen struct {
	mu         sync.Mutex
	operations []client.Operation
	requests   map[string]int // by op and outcome
}

func (s *seen) Operation(o client.Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operations = append(s.operations, o)
}

func (s *seen) Request(_ context.Context, _, op string) func(client.Outcome) {
	return func(o client.Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.requests == nil {
			s.requests = map[string]int{}
		}
		s.requests[op+" "+string(o)]++
	}
}

func (s *seen) last() client.Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations[len(s.operations)-1]
}
