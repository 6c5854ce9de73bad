// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package history is what clients of a mount have seen: each request that was sent, with what was answered, each event that the
// cluster was put through, and in the end what is there. It holds no opinion; package check judges it.
//
// Times are monotonic, from the beginning of the run. A history is written as JSON lines, one for each operation or event and one
// for the final look, so that a run can be judged again from its file:
//
//	{"operation":{"id":17,"client":"operator-1","node":"http://127.0.0.1:4711","act":"rotate","key":"k3","reason":"…","sent":1200,"answered":1900,"outcome":"done",…}}
//	{"event":{"kind":"restored","name":"1","from":9000,"to":12000}}
//	{"final":{…}}
package history
