// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// onMaterial draws a deed that brings material in, or lets it out, or narrows what it is good for.
func (w *typesWalk) onMaterial(name string, s *subject) deed {
	draw := []func(string, *subject) deed{w.export, w.narrow, w.backUp, w.backUp, w.restore, w.restore}
	if s.imported {
		draw = append(draw, w.importVersion, w.importVersion)
		if len(s.lacking) > 0 {
			draw = append(draw, w.importPrivate, w.importPrivate)
		}
	}
	if s.certified() {
		draw = append(draw, w.certify, w.request)
	}
	return draw[w.rng.IntN(len(draw))](name, s)
}

func (w *typesWalk) export(name string, s *subject) deed {
	v := 1 + w.rng.IntN(s.count)
	path := fmt.Sprintf("export/%s/%s/%d", s.leavesAs(), name, v)
	return deed{
		path: path, act: "export", send: func() mounttest.Answer { return w.Read(path, "reason", mounttest.Reason) },
		do: func(s *subject) bool { return s.processes(v) && !s.shut["export"] },
	}
}

// narrow takes uses away, of which one is left.
func (w *typesWalk) narrow(name string, s *subject) deed {
	kept := []string{}
	away := map[string]bool{}
	for _, use := range s.uses() {
		if s.shut[use] || w.rng.IntN(15) == 0 && len(away)+1 < len(s.uses()) {
			away[use] = true
		} else {
			kept = append(kept, use)
		}
	}
	return deed{
		path: "allowed_uses " + strings.Join(kept, ","),
		send: func() mounttest.Answer {
			return w.Write("keys/"+name+"/config", "allowed_uses", kept, "reason", mounttest.Reason)
		},
		do: func(s *subject) bool { s.shut = away; return true },
	}
}

func (w *typesWalk) backUp(name string, s *subject) deed {
	return deed{
		path: "backup", act: "backup", send: func() mounttest.Answer { return w.Read("backup/"+name, "reason", mounttest.Reason) },
		do: func(s *subject) bool { return s.state == "enabled" && !s.shut["export"] },
		then: func(s *subject, a mounttest.Answer) *subject {
			if a.Status == 200 {
				s.backups = append(s.backups, backup{a.Data["backup"].(string), s.clone()})
			}
			return s
		},
	}
}

// restore restores one of the backups of a key, to a name that may be taken.
func (w *typesWalk) restore(name string, s *subject) deed {
	if len(s.backups) == 0 {
		return w.backUp(name, s)
	}
	b, to, force := s.backups[w.rng.IntN(len(s.backups))], places[w.rng.IntN(len(places))], w.rng.IntN(2) == 0
	return deed{
		path: fmt.Sprintf("restore to %s, force=%v", to, force), act: "restore-backup", to: to,
		send: func() mounttest.Answer {
			return w.Write("restore/"+to, "backup", b.text, "force", force, "reason", mounttest.Reason)
		},
		do: func(there *subject) bool {
			return there == nil || force && !there.governed && !there.hold
		},
		then: func(*subject, mounttest.Answer) *subject { return b.restored() },
	}
}

func (w *typesWalk) importVersion(name string, s *subject) deed {
	now, publicOnly := w.Clock.Now(), w.rng.IntN(3) == 0
	next := s.clone()
	fields := append(w.bring(next, s.count+1, publicOnly), "reason", mounttest.Reason)
	return deed{
		path: "import_version", act: "import", send: func() mounttest.Answer { return w.Write("keys/"+name+"/import_version", fields...) },
		do: func(s *subject) bool {
			s.lacking = next.lacking
			return s.rotate(false, now)
		},
	}
}

// importPrivate completes a version.
func (w *typesWalk) importPrivate(name string, s *subject) deed {
	v := slices.Sorted(maps.Keys(s.lacking))[w.rng.IntN(len(s.lacking))]
	if s.own[v] == "compromised" { // where its material is, is a long story
		return w.importVersion(name, s)
	}
	wrapped := w.Wrapped(s.lacking[v].material)
	return deed{
		path: fmt.Sprintf("import of the private half of version %d", v), act: "import",
		send: func() mounttest.Answer {
			return w.Write("keys/"+name+"/import_version", "ciphertext", wrapped, "version", v, "reason", mounttest.Reason)
		},
		do: func(s *subject) bool {
			delete(s.lacking, v)
			return s.state == "enabled" && v >= s.erasedTo && slices.Contains([]string{"pre_active", "active", "deactivated", "suspended"}, s.own[v])
		},
	}
}

// certify gives a version a certificate of its public half.
func (w *typesWalk) certify(name string, s *subject) deed {
	v := max(1, s.minAvail) + w.rng.IntN(s.count-max(1, s.minAvail)+1)
	public := w.Must(w.Read(fmt.Sprintf("keys/%s/versions/%d", name, v))).Data["public_key"].(string)
	if s.isOf("ed25519") { // of which the bytes are shown
		raw, err := base64.StdEncoding.DecodeString(public)
		require.NoError(w.T, err)
		public = inPEM(w.T, ed25519.PublicKey(raw))
	}
	chain := mounttest.Certified(w.T, public)
	return deed{
		path: fmt.Sprintf("certificate of version %d", v), act: "set-certificate",
		send: func() mounttest.Answer {
			return w.Write("keys/"+name+"/set-certificate", "certificate_chain", chain, "version", v, "reason", mounttest.Reason)
		},
		do: func(s *subject) bool {
			s.chains[v] = chain
			return v >= s.minDec && s.shows(v) != "destroyed"
		},
	}
}

// request has the active version sign a request for a certificate.
func (w *typesWalk) request(name string, s *subject) deed {
	return deed{
		path: "csr", send: func() mounttest.Answer { return w.Write("keys/" + name + "/csr") },
		do: func(s *subject) bool { return s.makes("sign", 0) },
	}
}
