// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package timeline works out the picture of the life of a key: a lane a version, its states as spans, acts as marks, and
// behind now what the clock will do. It knows lengths and no HTML: the template of the page draws it.
package timeline
