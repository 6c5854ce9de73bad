// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package consent decides whether enough people have agreed to an act: the rules that ask for consent, requests and their
// digests, votes, and the state that these add up to. It is pure: who exists, who belongs to which group and what time it is come
// in by argument.
package consent
