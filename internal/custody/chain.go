// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Chain follows the records of one key and says what is wrong with them. After a problem it goes on
// with what it was given, so that one fault is not told again with every record that follows. The
// zero Chain takes key and instance from its first record.
type Chain struct {
	instance, key string
	links         []link // ascending by seq
	unreadable    bool   // the last link is no record: whether the next follows from it cannot be told
	faulty        bool   // a beginning may be lost, so ends without one are no news
}

// link is what is remembered of a record, 40 bytes.
type link struct {
	hash [sha256.Size]byte
	seq  int32
	open bool // begun and not ended
}

// Add takes the next line. The error is a [*Problem]; nil says that the line follows from those
// before. An edited record is found out by the one after it, so the problem may name the line before.
func (c *Chain) Add(line []byte) error {
	r, err := Decode(line)
	if err != nil {
		return c.stepOver(line, peek(line), err)
	}
	return c.follow(r, sha256.Sum256(line))
}

// stepOver notes that a record could not be read, if it is the next one.
func (c *Chain) stepOver(line []byte, h hint, cause error) error {
	c.faulty = true
	if h.key == c.key && h.seq == c.Head().Count+1 {
		c.links = append(c.links, link{hash: sha256.Sum256(line), seq: int32(h.seq)}) //nolint:gosec // peek keeps to MaxSeq
		c.unreadable = true
	}
	return &Problem{Key: h.key, Seq: h.seq, Err: cause}
}

func (c *Chain) follow(r Record, hash [sha256.Size]byte) error {
	if c.key == "" {
		c.key = r.Key
	}
	if c.instance == "" {
		c.instance = r.Instance
	}
	if r.Instance != c.instance {
		return c.fault(Problem{Seq: r.Seq, Err: fmt.Errorf("%w: of mount %q, not of %q", ErrForeign, r.Instance, c.instance)})
	}
	if r.Key != c.key {
		return c.fault(Problem{Seq: r.Seq, Err: fmt.Errorf("%w: of key %q", ErrForeign, r.Key)})
	}
	before, unreadable := c.Head(), c.unreadable
	if r.Seq <= before.Count {
		return c.fault(Problem{Seq: r.Seq, Err: c.misplaced(r, hash)})
	}
	wasOpen := c.push(r, hash)
	switch {
	case r.Seq > before.Count+1:
		return c.fault(Problem{Seq: before.Count + 1, Through: r.Seq - 1, Err: fmt.Errorf("%w before record %d", ErrGap, r.Seq)})
	case r.Prev != before.prev() && !unreadable:
		// Where one before is needed: a record 1 with a wrong link does not decode.
		return c.fault(Problem{Seq: before.Count, Err: fmt.Errorf("%w: record %d holds another hash of it", ErrEdited, r.Seq)})
	case r.Kind == End && !wasOpen && !c.faulty:
		return c.fault(Problem{Seq: r.Seq, Err: fmt.Errorf("%w: record %d", ErrOutcome, r.Of)})
	}
	return nil
}

func (c *Chain) fault(p Problem) error {
	c.faulty = true
	p.Key = c.key
	return &p
}

func (c *Chain) misplaced(r Record, hash [sha256.Size]byte) error {
	if i, found := c.find(r.Seq); found && c.links[i].hash == hash {
		return fmt.Errorf("%w: repeated", ErrOrder)
	}
	return fmt.Errorf("%w: comes after record %d", ErrOrder, c.Head().Count)
}

// push remembers r and tells whether the act that it ends was open.
func (c *Chain) push(r Record, hash [sha256.Size]byte) (wasOpen bool) {
	if i, found := c.find(r.Of); found {
		wasOpen, c.links[i].open = c.links[i].open, false
	}
	c.links = append(c.links, link{hash, int32(r.Seq), r.Kind == Begin}) //nolint:gosec // check keeps to MaxSeq
	c.unreadable = false
	return wasOpen
}

func (c *Chain) find(seq int) (at int, found bool) {
	return slices.BinarySearchFunc(c.links, seq, func(l link, seq int) int { return int(l.seq) - seq })
}

// Head returns the head of what was added.
func (c *Chain) Head() Head {
	if len(c.links) == 0 {
		return Head{}
	}
	last := c.links[len(c.links)-1]
	return Head{Count: int(last.seq), Hash: hex.EncodeToString(last.hash[:])}
}

// HashAt returns the hash of record count, if it was added.
func (c *Chain) HashAt(count int) (string, bool) {
	i, found := c.find(count)
	if !found {
		return "", false
	}
	return hex.EncodeToString(c.links[i].hash[:]), true
}

// Unfinished returns the records that begin an act of which no end was added. That is no problem: the
// act may have been under way, or waits for recovery.
func (c *Chain) Unfinished() []int {
	var out []int
	for _, l := range c.links {
		if l.open {
			out = append(out, int(l.seq))
		}
	}
	return out
}
