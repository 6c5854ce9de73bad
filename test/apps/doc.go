// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package apps holds the proof that applications go on with a real Vault: both client libraries, inside programs that serve requests,
// against the built plugin and against Vault's own Transit, through rotations, outages and revocations.
//
// It is a module of its own because it needs the engine's test harness and the client library, and neither needs the other. Its tests
// read VAULT_BIN and KEYLIFE_PLUGIN, as those of test/ do, and run what Debian packages: /usr/bin/python3 with hvac, Flask, gunicorn
// and pytest. `make test` sets and installs all. A missing one is a failure, never a skip.
//
// What lives where: suite_test.go and python/test_suite.py use each library on both engines; interchange_test.go has each open
// what the other wrote; outage_test.go takes Vault away, by way of proxy/; revocation_test.go and certificate_test.go take
// rights and keys away; rotation_test.go rotates a key under load (KEYLIFE_SOAK=10m: for so long); examples_test.go runs examples/.
// An application is a process of worker/ or of python/worker.py, which serve the same requests; application_test.go starts them.
package apps
