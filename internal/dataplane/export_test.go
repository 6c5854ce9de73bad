// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

// Meters is how many meters are in memory.
func Meters(p *Plane) int { return p.meters.Len() }
