// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package chaos puts a real three-node cluster under load and under fire, seed by seed, and has what was acknowledged held against
// what is there. It brings together the faults (schedule, fault, link), the clients (work), what they saw (history) and the judge
// (check); docs/chaos.md says what is held.
package chaos
