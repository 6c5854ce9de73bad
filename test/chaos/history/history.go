// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// History is append-only and may be appended to by many goroutines. It may be read when nobody appends.
type History struct {
	began time.Time

	mu         sync.Mutex
	sent       int
	Operations []Operation // in the order of their answers
	Events     []Event
}

// New begins a history now, by the clock that is given.
func New(now time.Time) *History { return &History{began: now} }

// Since is how long after the beginning a time is.
func (h *History) Since(now time.Time) time.Duration { return now.Sub(h.began) }

// Next gives the number of an operation that is about to be sent.
func (h *History) Next() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent++
	return h.sent
}

// Append keeps an operation that was answered, or given up.
func (h *History) Append(o Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Operations = append(h.Operations, o)
}

// Happened keeps an event.
func (h *History) Happened(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Events = append(h.Events, e)
}

// Count is how many operations ended in each way.
func (h *History) Count() map[Outcome]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := map[Outcome]int{}
	for _, o := range h.Operations {
		count[o.Outcome]++
	}
	return count
}

// line is one of a file.
type line struct {
	Operation *Operation `json:"operation,omitempty"`
	Event     *Event     `json:"event,omitempty"`
	Final     *Final     `json:"final,omitempty"`
}

// Write writes the history and, if there was one, the final look.
func (h *History) Write(to io.Writer, final *Final) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	for i := range h.Operations {
		if err := encoder.Encode(line{Operation: &h.Operations[i]}); err != nil {
			return err
		}
	}
	for i := range h.Events {
		if err := encoder.Encode(line{Event: &h.Events[i]}); err != nil {
			return err
		}
	}
	if final != nil {
		if err := encoder.Encode(line{Final: final}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Read reads what [History.Write] wrote. The final look is nil where there was none.
func Read(from io.Reader) (*History, *Final, error) {
	h, final := &History{}, (*Final)(nil)
	for decoder, n := json.NewDecoder(from), 1; ; n++ {
		var l line
		err := decoder.Decode(&l)
		switch {
		case errors.Is(err, io.EOF):
			return h, final, nil
		case err != nil:
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		case l.Operation != nil:
			h.Operations = append(h.Operations, *l.Operation)
			h.sent = max(h.sent, l.Operation.ID)
		case l.Event != nil:
			h.Events = append(h.Events, *l.Event)
		case l.Final != nil:
			final = l.Final
		default:
			return nil, nil, fmt.Errorf("line %d: neither an operation, nor an event, nor the final look", n)
		}
	}
}
