// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clienttest

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// Outage is a way in which Vault does not answer as it should.
type Outage string

// Outages.
const (
	None    Outage = "none"
	Down    Outage = "down"    // connections are refused
	Sealed  Outage = "sealed"  // 503
	Busy    Outage = "busy"    // 429, as of a rate limit quota
	Failing Outage = "failing" // 500
	Slow    Outage = "slow"    // no answer before the client gives up
	Garbled Outage = "garbled" // 200 with a body that is no answer of Vault
)

var outageAnswers = map[Outage]answer{
	Sealed:  refusal(http.StatusServiceUnavailable, "Vault is sealed"),
	Busy:    refusal(http.StatusTooManyRequests, "request path: rate limit quota exceeded"),
	Failing: refusal(http.StatusInternalServerError, "1 error occurred:\n\t* internal error\n\n"),
	Garbled: {status: http.StatusOK, raw: "<html>Welcome</html>"},
}

// SetOutage begins an outage, or ends one: [None].
func (f *FakeVault) SetOutage(o Outage) {
	f.t.Helper()
	if _, ok := outageAnswers[o]; !ok && o != None && o != Down && o != Slow {
		f.t.Fatalf("outage %q: unknown", o)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = o
}

// suffer returns what an outage makes of a request: an answer, or an error where there is none.
func suffer(ctx context.Context, o Outage) (a answer, suffered bool, err error) {
	switch o {
	case Down:
		return answer{}, true, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case Slow:
		<-ctx.Done()
		return answer{}, true, ctx.Err()
	}
	a, suffered = outageAnswers[o]
	return a, suffered, nil
}
