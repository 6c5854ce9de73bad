// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package sealed

// Encode is the JSON of a file.
var Encode = encode
