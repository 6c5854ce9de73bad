// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

// What tests of the envelope need of its inside.
var (
	PreAuthEncoding = preAuthEncoding
	DecodeStatement = decodeStatement
	Seal            = seal
	Open            = Envelope.open
)
