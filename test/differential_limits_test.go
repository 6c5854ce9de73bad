// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// limitTrials are about size. Vault refuses a JSON string of more than 1 MiB before any engine sees it.
func limitTrials() []trial {
	const limit = 1 << 20
	text := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	sizes := []int{1, 2, 3, 15, 16, 17, 1000, 65535, 65536, 500_000, limit/4*3 - 3, limit / 4 * 3, limit/4*3 + 3, limit}
	var all []trial
	for _, size := range sizes {
		all = append(all, trial{name: fmt.Sprintf("plaintext of %d bytes", size), steps: []step{
			f0().create(), post("encrypt/$K", object("plaintext", text(size))), post("encrypt/$K", items(object("plaintext", text(size)))),
		}})
	}
	all = append(all, trial{name: "a large plaintext comes back", steps: []step{
		f0().create(), post("encrypt/$K", object("plaintext", text(700_000))).as("ct", "ciphertext"), f0().decrypt("$ct"),
		post("rewrap/$K", object("ciphertext", "$ct")),
	}})
	long := strings.Repeat("A", limit+4)
	for _, body := range []string{
		object("plaintext", hello, "context", long), object("plaintext", hello, "associated_data", long), object("plaintext", hello, "nonce", long),
		object("plaintext", hello, "nonsense", long), items(object("plaintext", hello, "reference", long)),
	} {
		all = append(all, trial{name: "string over the limit in " + body[:20] + body[len(body)-8:], steps: []step{f0().create(), post("encrypt/$K", body)}})
	}
	return append(all, trial{name: "ciphertext over the limit", steps: []step{f0().create(), f0().decrypt("vault:v1:" + long)}})
}
