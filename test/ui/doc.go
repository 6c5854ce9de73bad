// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package ui holds the tests of keylife ui in a real Chromium against a real Vault, with no key, one, and many. It is a module of its
// own, which drives the browser. They read VAULT_BIN and KEYLIFE_PLUGIN_TESTCLOCK, as those of package test do, and
//
//	CHROMIUM             the browser; chromium on PATH where it is empty
//	KEYLIFE_UI_KEYS      how many keys are many: 1000 where it is empty
//	KEYLIFE_SCREENSHOTS  a folder, to keep the screenshots in; UPDATE=1 writes those of docs/ui.md
//
// testdata/axe.min.js is axe-core 4.14.1 of Deque Systems (MPL-2.0, its licences beside it), which looks for what keeps people
// out: its checksum is beside it, too.
package ui
