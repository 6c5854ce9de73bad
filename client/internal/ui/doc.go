// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package ui shows a keylife mount to people, in a browser on the same machine: what needs attention, keys and their lives,
// what will happen, policies, requests for consent, custody. It changes nothing.
//
// A request goes through guard.go (who may look), a page (pages_*.go), which reads what it shows from package mount, and a
// template (templates/). The token of Vault stays in package mount: no type here has it. A page is whole without its script.
package ui
