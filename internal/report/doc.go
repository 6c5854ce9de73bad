// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package report says of the controls of standards what a mount shows for them: one row a control, in the table [Controls], one
// function an evidence. It is pure: it is given [Facts] and returns a [Page], it reads nothing and knows no clock. Pages are joined
// by [Join] and written by [Markdown] and [HTML].
//
// Two things are never said: that an organization complies, and that something is met which the engine does not see. Such a part of a
// control is an evidence of its own, with the verdict [Manual].
package report
