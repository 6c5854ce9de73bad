// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package scale measures what grows: a rotation with the versions of the key, a tick and the first request with the keys of the mount,
// memory with the keys in use. It is a test of a real Vault, so that it cannot rot: the acceptance tests run it with small
// numbers, and the bench with those of the page:
//
//	go test -tags acceptance -count=1 -timeout 60m ./test/bench/scale -args -out FOLDER
//
// That needs VAULT_BIN and KEYLIFE_PLUGIN, takes about five minutes on a machine that does nothing else, and writes rotation.json,
// tick.json and memory.json into the folder, each a section of the page (test/bench/result). With -short figures are of the small
// numbers and are good for nothing but to see the page.
//
// A key of ten thousand versions, or a hundred thousand keys, would take hours to make by requests. Keys are made by the engine on a
// storage in memory, and what it stored is put into the storage of a mount of Vault.
package scale
