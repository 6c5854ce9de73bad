// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package test holds keylife's acceptance tests: the built plugin inside a real Vault server on raft storage, beside the
// built-in Transit engine it must not be told apart from. They carry the build tag "acceptance" and read five variables,
// all absolute paths:
//
//	VAULT_BIN                     the Vault server (scripts/vault.sh makes it)
//	KEYLIFE_PLUGIN                the built plugin (scripts/build.sh)
//	KEYLIFE_PLUGIN_TESTCLOCK      the same with a clock that tests can move (scripts/build.sh testclock)
//	KEYLIFE_PLUGIN_HSM            the one that speaks PKCS#11 (scripts/build.sh hsm)
//	KEYLIFE_PLUGIN_HSM_TESTCLOCK  that with such a clock (scripts/build.sh hsm testclock)
//
// `make test` sets all. A missing one is a failure, never a skip.
//
// What lives where: differential_*_test.go sends the same requests to Transit and to keylife and compares the answers;
// interchange_test.go lets each open the other's ciphertext, with a key carried over by transit_backup_test.go;
// life_test.go has Vault tick; lifecycle_test.go moves the clock, from the creation of a version to its destruction;
// suspend_test.go and compromise_test.go stop keys that are in use; custody_test.go and custody_snapshot_test.go verify the
// record of it all; roles_test.go tries the policies of examples/acl; survive_test.go and load_test.go reload, seal, stop
// and kill; process_test.go has two mounts share a process that ends; impatient_test.go gives up requests and killed_test.go
// kills the plugin while operators act, and operators_test.go holds what they were told against custody (with
// KEYLIFE_TORTURE=5m for so long); governance_cluster_test.go kills
// the active one of three nodes while people vote; soak_test.go looks at the plugin's process under mixed load (make soak: for an
// hour); terraform_contract_test.go and contract_test.go hold keylife's own HTTP
// interface. harness/ runs the servers, vault/ builds the binary, fuzz/ needs neither: it sends requests to the backend in its
// own process. Unit tests do not belong here: they sit beside the code.
package test
