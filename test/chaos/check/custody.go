// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// record is what the judge reads of a line of custody.
type record struct {
	Key      string    `json:"key"`
	Seq      int       `json:"seq"`
	Prev     string    `json:"prev"`
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	KeyID    string    `json:"key_id"`
	Act      string    `json:"act"`
	Versions []int     `json:"versions"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Actor    struct {
		EntityID string `json:"entity_id"`
		System   bool   `json:"system"`
	} `json:"actor"`
	Reason    string            `json:"reason"`
	RequestID string            `json:"request_id"`
	Details   map[string]string `json:"details"`
	Of        int               `json:"of"`
	Outcome   string            `json:"outcome"`
}

// act is a record that begins an act which was done.
type act struct{ record }

func (a act) version() int {
	if len(a.Versions) == 0 {
		return 0
	}
	return a.Versions[0]
}

// chain is the records of one name.
type chain struct {
	last   string // hash of the last line
	seq    int
	begins map[int]record
	done   []act
}

// readCustody reads the export, chain by chain, holds each line against the one before, and keeps the acts that were done.
func (j *judge) readCustody() {
	chains, names := map[string]*chain{}, []string{}
	for i, line := range j.final.Export {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			j.find(Custody, "", 0, 0, "line %d of the export is no record: %v", i+1, err)
			continue
		}
		c := chains[r.Key]
		if c == nil {
			c = &chain{last: strings.Repeat("0", 2*sha256.Size), begins: map[int]record{}}
			chains[r.Key], names = c, append(names, r.Key)
		}
		j.follow(c, r, line)
	}
	for _, name := range names {
		c := chains[name]
		for seq := range c.begins {
			j.find(Custody, name, 0, 0, "record %d begins an act that has no end", seq)
		}
		if strings.HasSuffix(name, ":") || strings.HasPrefix(name, "policy:") {
			j.others = append(j.others, c.done...)
			continue
		}
		j.lives = append(j.lives, &life{key: name, acts: c.done})
	}
	j.verified("the offline verifier", j.final.Offline)
	j.verified("custody/verify", j.final.Mount)
}

func (j *judge) verified(verifier string, said history.Verdict) {
	if !said.Valid {
		j.find(Custody, "", 0, 0, "%s: %s", verifier, strings.TrimSpace(said.Said))
	}
}

func (j *judge) follow(c *chain, r record, line string) {
	if r.Seq != c.seq+1 {
		j.find(Custody, r.Key, 0, 0, "record %d follows record %d", r.Seq, c.seq)
	}
	if r.Prev != c.last {
		j.find(Custody, r.Key, 0, 0, "record %d does not follow from the one before it", r.Seq)
	}
	sum := sha256.Sum256([]byte(line))
	c.seq, c.last = r.Seq, hex.EncodeToString(sum[:])
	if r.Kind == "begin" {
		c.begins[r.Seq] = r
		return
	}
	begin, ok := c.begins[r.Of]
	if !ok {
		j.find(Custody, r.Key, 0, 0, "record %d ends an act that did not begin", r.Seq)
		return
	}
	delete(c.begins, r.Of)
	if r.Outcome == "done" {
		c.done = append(c.done, act{begin})
	}
}
