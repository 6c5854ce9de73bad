// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A condition is looked at again after a tenth of the time that it has been waited for, within these limits: dozens of tests wait for
// Vault's clock at once, and each look is a request.
const (
	pollSoonest = 50 * time.Millisecond
	pollLatest  = 500 * time.Millisecond
)

// slack stretches all limits. They are for what does not come at all, and a machine that has much else to do is slow.
const slack = 4

// Eventually calls check until it returns nil, and fails the test with the last error when timeout has passed, and some more. It is
// the only place of the acceptance tests that waits for time.
func Eventually(t testing.TB, timeout time.Duration, check func() error) {
	t.Helper()
	require.NoError(t, poll(timeout, check))
}

func poll(timeout time.Duration, check func() error) error {
	began := time.Now()
	for {
		err := check()
		if err == nil {
			return nil
		}
		waited := time.Since(began)
		if waited > slack*timeout {
			return fmt.Errorf("still not so after %s: %w", slack*timeout, err)
		}
		<-time.After(min(max(waited/10, pollSoonest), pollLatest))
	}
}
