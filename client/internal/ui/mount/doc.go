// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package mount reads a keylife mount for people to look at. It sends the requests of one table and no others: each is a
// GET, a LIST or the plan of a policy, none changes what is stored, and none answers with key material, whatever the token
// may do. Reads that make something where there is nothing (public keys, attestations) are not in the table.
package mount
