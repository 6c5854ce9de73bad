// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

// Pooled hands test every byte of a buffer c may have at hand in its pool, behind its length too.
func Pooled(c *Cipher, test func([]byte)) {
	d, ok := c.mode.(*direct)
	if !ok {
		panic("the cipher of a derived key has no pool")
	}
	s := d.pool.get(0)
	test(s.bytes[:cap(s.bytes)])
	d.pool.put(s)
}
