// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"syscall"
	"time"
)

// sleep blocks the thread, to within some 50 µs. A signal may end it early.
func sleep(d time.Duration) {
	request := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&request, nil) // how it ended does not matter: who calls looks at the time
}
