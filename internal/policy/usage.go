// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

// LimitByType as a policy's MaxEncryptions stands for what the type of the key needs.
const LimitByType = -1

const (
	// randomNonces is 0.9 * 2^32: with nonces of 96 bits drawn at random, 2^32 encryptions are the most under one key
	// (SP 800-38D, section 8.3).
	randomNonces = 3_865_470_566

	mostEncryptions = 1 << 48
	mostBytes       = 1 << 56
)

// MostVersionsKept bounds how many readable versions archiving leaves.
const MostVersionsKept = 2048

// Usage is how much a version has protected.
type Usage struct {
	Encryptions int64 `json:"encryptions"`
	Bytes       int64 `json:"bytes"` // of plaintext
}

// Plus returns the sum of both.
func (u Usage) Plus(o Usage) Usage { return Usage{u.Encryptions + o.Encryptions, u.Bytes + o.Bytes} }

// Beyond returns what of u is beyond o, in each of both.
func (u Usage) Beyond(o Usage) Usage {
	return Usage{max(u.Encryptions-o.Encryptions, 0), max(u.Bytes-o.Bytes, 0)}
}

// Limits are the most that a version may protect. A zero field is no limit.
type Limits Usage

// None reports that nothing is limited, so nothing has to be counted.
func (l Limits) None() bool { return l == Limits{} }

// Exceeded reports whether the usage is above a limit.
func (l Limits) Exceeded(u Usage) bool {
	return (l.Encryptions > 0 && u.Encryptions > l.Encryptions) || (l.Bytes > 0 && u.Bytes > l.Bytes)
}

// Ratio returns which share of a limit the usage is, the larger one where there are two; 0: nothing is limited.
func (l Limits) Ratio(u Usage) float64 {
	share := func(used, limit int64) float64 {
		if limit == 0 {
			return 0
		}
		return float64(used) / float64(limit)
	}
	return max(share(u.Encryptions, l.Encryptions), share(u.Bytes, l.Bytes))
}

// Hard returns the limits beyond which a version protects no more, although its successor could not be made: a ninth
// more. For the default that is 2^32 - 1.
func (l Limits) Hard() Limits {
	return Limits{l.Encryptions + l.Encryptions/9, l.Bytes + l.Bytes/9}
}

// Grant returns what to add to what was granted already, so that need is covered, and want as far as the limits leave
// room; ok is false where they leave none.
func (l Limits) Grant(granted, need, want Usage) (more Usage, ok bool) {
	more.Encryptions, ok = grant1(l.Encryptions, granted.Encryptions, need.Encryptions, want.Encryptions)
	if !ok {
		return Usage{}, false
	}
	more.Bytes, ok = grant1(l.Bytes, granted.Bytes, need.Bytes, want.Bytes)
	if !ok {
		return Usage{}, false
	}
	return more, true
}

func grant1(limit, granted, need, want int64) (int64, bool) {
	if limit == 0 {
		return max(need, want), true
	}
	room := max(limit-granted, 0)
	return min(max(need, want), room), need <= room
}

// Block is how much to ask for at once: enough to write seldom, and at most a 256th of a limit, by which a crash counts
// too many. It is halved so many times.
func (l Limits) Block(halved int) Usage {
	const encryptions, bytes, share = 1 << 16, 1 << 30, 256
	block := Usage{encryptions, bytes}
	if l.Encryptions > 0 {
		block.Encryptions = min(block.Encryptions, l.Encryptions/share)
	}
	if l.Bytes > 0 {
		block.Bytes = min(block.Bytes, l.Bytes/share)
	}
	return Usage{max(block.Encryptions>>halved, 1), max(block.Bytes>>halved, 1)}
}

// limits returns the limits of the policy for a key.
func (p *Policy) limits(k Attributes) Limits {
	l := Limits{Encryptions: p.MaxEncryptions, Bytes: p.MaxBytes}
	if l.Encryptions == LimitByType {
		l.Encryptions = 0
		if k.Type.SupportsEncryption() && !k.Convergent {
			l.Encryptions = randomNonces
		}
	}
	return l
}
