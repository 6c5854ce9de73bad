// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package scheduler does what is due, once a minute: it rotates keys, changes the states of versions, moves and erases
// material, completes acts that were cut short, and finds out whether the clock can be believed. What is due is decided in
// lifecycle, from what is stored, anew each time; an act is done by package engine.
//
// A tick ([Session.Tick]) is bounded in time and number, and one key that fails, hangs or panics stops no other. Nor does a
// wrapper that is away: it is asked once, and the keys that need it are left as they are for the next tick. The work
// on one key is in process.go; a request whose version has reached its limit does the same ([Session.ReplaceExhausted]).
package scheduler
