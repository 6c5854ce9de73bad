// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package work is people and programs that use a mount of a cluster, by a seed, and write down what they were told: applications
// that protect and open data, operators that do acts of every kind, people who ask for consent, vote and execute. They ask any node,
// and another one when it does not answer. In the end it looks at what is there.
//
// It judges nothing. What is drawn is the same for a seed; what comes of it is not, as clients race.
package work
