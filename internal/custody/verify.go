// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Verify reads an export, record by record, those of a key in their order, and holds it against the
// checkpoints. [Lines] makes an export of a file. Public keys are trusted from pinned on, see [PublicKeys.Check]; without checkpoints
// there need be none.
//
// It keeps 40 bytes of a record, and the votes for requests of consent. The error says that the export could not be read to its end, and the
// report is then worth nothing.
func Verify(export iter.Seq2[[]byte, error], keys PublicKeys, pinned string, checkpoints []Signed) (Report, error) {
	return Evidence{Keys: keys, Pinned: pinned, Checkpoints: checkpoints}.Verify(export)
}

// Evidence is what an export is held against.
type Evidence struct {
	Keys         PublicKeys
	Pinned       string
	Checkpoints  []Signed
	Attestations []Statement // that [Envelope.Statement] returned
}

// Verify is [Verify] with attestations: the export must have the record that each is about, and the chain as it stood.
func (e Evidence) Verify(export iter.Seq2[[]byte, error]) (Report, error) {
	v := &verifier{chains: map[string]*Chain{}, signed: map[string]int{}, attested: newAttested(e.Attestations), votes: votes{map[vote]bool{}, map[string]vote{}}}
	keys, checkpoints := e.Keys, e.Checkpoints
	trusted := v.checkKeys(keys, e.Pinned, checkpoints)
	number := 0
	for line, err := range export {
		number++
		if err != nil {
			return Report{}, fmt.Errorf("read line %d: %w", number, err)
		}
		if len(line) > 0 {
			v.line(number, line)
		}
	}
	if trusted {
		for i, s := range checkpoints {
			v.checkpoint(i+1, s, keys)
		}
	}
	v.attestations()
	v.finish()
	return v.report, nil
}

type verifier struct {
	instance string // the mount, from the first record
	chains   map[string]*Chain
	signed   map[string]int // how many records of a key are covered by a checkpoint or an attestation
	attested attested
	votes    votes
	report   Report
}

// checkKeys tells whether checkpoints can be opened. If not, that is one problem and not one for each.
func (v *verifier) checkKeys(keys PublicKeys, pinned string, checkpoints []Signed) bool {
	if len(keys) == 0 && len(checkpoints) == 0 && pinned == "" {
		return true
	}
	err := keys.Check(pinned)
	if err != nil {
		v.report.add(Problem{Err: err})
	}
	return err == nil
}

func (v *verifier) line(number int, line []byte) {
	r, err := Decode(line)
	if err != nil {
		h := peek(line)
		v.problem(number, v.unread(h).stepOver(line, h, err))
		return
	}
	v.report.Records++
	v.problem(number, v.attested.follow(r, line))
	if v.instance == "" {
		v.instance = r.Instance
	}
	c := v.chain(r.Key)
	v.problem(number, c.follow(r, sha256.Sum256(line)))
	if !c.faulty { // else the record of a vote may be lost
		v.problem(number, v.votes.follow(r))
	}
}

func (v *verifier) chain(key string) *Chain {
	if v.chains[key] == nil {
		v.chains[key] = &Chain{key: key}
	}
	v.chains[key].instance = v.instance // not yet known to one that began with an unreadable line
	return v.chains[key]
}

// unread returns the chain of a line that could not be read. That line must not make up a key, unless
// it looks like its first record.
func (v *verifier) unread(h hint) *Chain {
	if v.chains[h.key] == nil && (h.key == "" || h.seq != 1) {
		return &Chain{}
	}
	return v.chain(h.key)
}

func (v *verifier) problem(line int, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		return
	}
	if errors.Is(p, ErrOrder) {
		v.report.removeFromGap(p.Key, p.Seq)
	}
	p.Line = line
	v.report.add(*p)
}

func (v *verifier) checkpoint(number int, s Signed, keys PublicKeys) {
	c, err := s.Open(keys)
	if err != nil {
		v.report.add(Problem{Checkpoint: number, Err: err})
		return
	}
	if v.instance == "" {
		v.instance = c.Instance
	}
	if c.Instance != v.instance {
		v.report.add(Problem{Checkpoint: number, Err: fmt.Errorf("%w: of mount %q, not of %q", ErrForeign, c.Instance, v.instance)})
		return
	}
	v.report.Checkpoints++
	if c.Time.After(v.report.Latest) {
		v.report.Latest = c.Time
	}
	for _, head := range c.Heads {
		if p := v.compareHead(head); p.Err != nil {
			p.Checkpoint, p.Err = number, fmt.Errorf("%w (checkpoint of %s)", p.Err, c.Time.Format(time.RFC3339))
			v.report.add(p)
		}
		v.signed[head.Key] = max(v.signed[head.Key], head.Count)
	}
}

// compareHead finds what the export lacks of what a checkpoint states. A record inside the chain that is
// missing is none of it: the chain has said so.
func (v *verifier) compareHead(want KeyHead) Problem {
	p := Problem{Key: want.Key, Seq: want.Count}
	c := v.chains[want.Key]
	if c == nil {
		c = &Chain{}
	}
	count := c.Head().Count
	if count < want.Count {
		p.Seq, p.Through = count+1, want.Count
		p.Err = fmt.Errorf("%w: %d of %d records", ErrCut, count, want.Count)
	} else if hash, found := c.HashAt(want.Count); found && hash != want.Hash {
		p.Err = fmt.Errorf("%w: it, or one before it, is not what was signed", ErrEdited)
	}
	return p
}

// attestations holds the chains against where they stood when attestations were signed.
func (v *verifier) attestations() {
	for _, a := range v.attested {
		m := a.Predicate
		if !a.found {
			v.report.add(Problem{Key: m.Key, Seq: m.Record, Err: fmt.Errorf("%w: the record that version %d is attested by", ErrGap, m.Version)})
		}
		if p := v.compareHead(KeyHead{Key: m.Key, Count: m.Chain.Count, Hash: m.Chain.Hash}); p.Err != nil {
			p.Err = fmt.Errorf("%w (attestation of version %d)", p.Err, m.Version)
			v.report.add(p)
		}
		v.signed[m.Key] = max(v.signed[m.Key], m.Chain.Count)
	}
	v.report.Attestations = len(v.attested)
}

func (v *verifier) finish() {
	v.report.Chains = len(v.chains)
	for _, key := range slices.Sorted(maps.Keys(v.chains)) {
		c := v.chains[key]
		v.report.Unsigned += max(0, c.Head().Count-v.signed[key])
		for _, seq := range c.Unfinished() {
			v.report.addUnfinished(Unfinished{Key: key, Seq: seq})
		}
	}
}
