// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// proof is something that a version made: a ciphertext, a signature, a MAC. It is of the version for as long as there are versions.
type proof struct {
	op      string // encrypt, datakey, sign, hmac or cmac
	version int
	text    string
}

// input is what every proof but that of a data key is of.
var input = mounttest.B64("secret")

// ops are what keys of the kind make.
func (k kind) ops() (ops []string) {
	if k.encrypts() {
		ops = append(ops, "encrypt", "datakey")
	}
	if k.signs() {
		ops = append(ops, "sign")
	}
	if k.isOf("aes256-cmac") {
		return append(ops, "cmac")
	}
	return append(ops, "hmac")
}

// uses are what a key of the kind may be restricted to.
func (k kind) uses() []string {
	all := []string{"verify", "hmac", "export"}
	if k.encrypts() {
		all = append(all, "encrypt", "decrypt", "rewrap", "datakey")
	}
	if k.signs() {
		all = append(all, "sign")
	}
	return all
}

// makes is whether a version makes what is asked for; 0: the active one.
func (s *subject) makes(op string, v int) bool {
	of := cmp.Or(v, s.primary)
	use := map[string]string{"cmac": "hmac"}[op]
	return s.protects(v) && !s.shut[cmp.Or(use, op)] && (op != "sign" || s.hasPrivate(of))
}

// accepts is whether the key processes a proof that it made.
func (s *subject) accepts(p proof) bool {
	switch p.op {
	case "sign":
		return s.verifies(p.version) && !s.shut["verify"]
	case "hmac", "cmac":
		return s.processes(p.version) && !s.shut["verify"]
	default:
		return s.processes(p.version) && s.hasPrivate(p.version) && !s.shut["decrypt"]
	}
}

// context is what requests to derived keys have.
func (k kind) context(more ...any) []any {
	if !k.derived {
		return more
	}
	return append(more, "context", mounttest.B64("of the one"))
}

// make has a version make a proof, if it may.
func (w *typesWalk) make(name, op string, v int) {
	w.T.Helper()
	s := w.keys[name]
	data := s.context("key_version", v)
	path, field := op+"/"+name, map[string]string{"sign": "signature", "hmac": "hmac", "cmac": "cmac"}[op]
	switch op {
	case "encrypt":
		data, field = append(data, "plaintext", input), "ciphertext"
	case "datakey":
		path, field = "datakey/wrapped/"+name, "ciphertext"
	default:
		data = append(data, "input", input)
	}
	a := w.Write(path, data...)
	require.Equal(w.T, s.makes(op, v), a.Status == 200, "%s with version %d of %s: %d %s: %s", op, v, name, a.Status, a.Err, w.story())
	if a.Status != 200 {
		require.NotContains(w.T, a.Err, "internal error", w.story())
		return
	}
	p := proof{op: op, text: a.Data[field].(string)}
	p.version = mounttest.VersionOf(p.text)
	require.Equal(w.T, cmp.Or(v, s.primary), p.version, w.story())
	for _, known := range s.proofs {
		if known.op == op && known.version == p.version {
			require.False(w.T, s.convergent && op == "encrypt" && known.text != p.text, "%s is not convergent: %s", name, w.story())
			return // the oldest one tells most
		}
	}
	s.proofs = append(s.proofs, p)
}

// accepted asks whether a key processes a proof.
func (w *typesWalk) accepted(name string, p proof) bool {
	w.T.Helper()
	s := w.keys[name]
	var a mounttest.Answer
	switch p.op {
	case "encrypt", "datakey":
		a = w.Write("decrypt/"+name, s.context("ciphertext", p.text)...)
		require.False(w.T, a.Status == 200 && p.op == "encrypt" && a.Data["plaintext"] != input, "%s opens to something else: %s", p.text, w.story())
	default:
		field := map[string]string{"sign": "signature", "hmac": "hmac", "cmac": "cmac"}[p.op]
		a = w.Write("verify/"+name, s.context("input", input, field, p.text)...)
		if a.Status == 200 {
			return a.Data["valid"] == true
		}
	}
	foreign := s.isRSA() && a.Status == 500 && strings.Contains(a.Err, "failed to RSA decrypt") // as in Transit
	require.True(w.T, a.Status == 200 || a.Status == 400 || foreign, "%d %s: %s", a.Status, a.Err, w.story())
	return a.Status == 200
}

// checkProofs demands that the key processes all that it ever made and still may, and nothing else.
func (w *typesWalk) checkProofs(name string) {
	w.T.Helper()
	s := w.keys[name]
	for _, p := range s.proofs {
		require.Equal(w.T, s.accepts(p), w.accepted(name, p), "%s: %s of version %d: %s", name, p.op, p.version, w.story())
	}
	if len(s.proofs) == 0 {
		return
	}
	p := s.proofs[w.rng.IntN(len(s.proofs))]
	if other := 1 + w.rng.IntN(s.count); other != p.version {
		_, payload, _ := strings.Cut(strings.TrimPrefix(p.text, "vault:v"), ":")
		relabelled := proof{p.op, other, fmt.Sprintf("vault:v%d:%s", other, payload)}
		require.False(w.T, w.accepted(name, relabelled), "%s: what version %d made passes as of version %d: %s", name, p.version, other, w.story())
	}
	for stranger, o := range w.keys {
		if o.id != s.id && o.of == s.of && o.derived == s.derived && o.processes(p.version) && (p.op == "hmac" || p.op == "cmac" || o.hasPrivate(p.version)) {
			require.False(w.T, w.accepted(stranger, p), "%s takes what %s made: %s", stranger, name, w.story())
		}
	}
	if s.encrypts() && (p.op == "encrypt" || p.op == "datakey") {
		may := s.rewraps(p.version) && s.hasPrivate(p.version) && s.protects(0) && !s.shut["rewrap"]
		a := w.Write("rewrap/"+name, s.context("ciphertext", p.text)...)
		require.Equal(w.T, may, a.Status == 200, "rewrap of version %d: %s: %s", p.version, a.Err, w.story())
	}
}

// entries are what the view of a key shows of its versions from the floor on.
func (w *typesWalk) entries(name string) map[string]struct {
	Chain string `json:"certificate_chain"`
} {
	w.T.Helper()
	data, err := json.Marshal(w.Must(w.Read("keys/" + name)).Data["keys"])
	require.NoError(w.T, err)
	shown := map[string]struct {
		Chain string `json:"certificate_chain"`
	}{}
	_ = json.Unmarshal(data, &shown) // symmetric keys have numbers there
	return shown
}

// checkPublic demands that public halves stay as they are, also of destroyed versions; that private halves end where the model says, and
// never come back; and that each version has its own certificate.
func (w *typesWalk) checkPublic(name string) {
	w.T.Helper()
	s := w.keys[name]
	if !s.byPublicHalf() {
		return
	}
	chains := w.entries(name)
	for v := max(1, s.minAvail); v <= s.count; v++ {
		view := w.Must(w.Read(fmt.Sprintf("keys/%s/versions/%d", name, v))).Data
		public := view["public_key"].(string)
		require.NotEmpty(w.T, public, "version %d of %s: %s", v, name, w.story())
		require.Equal(w.T, cmp.Or(s.publics[v], public), public, "version %d of %s has another public half: %s", v, name, w.story())
		s.publics[v] = public
		erased := view["private_key_erased"].(bool)
		require.False(w.T, erased && (!s.losesPrivate() || v == s.primary && s.shows(v) == "active" || v == s.staged), "version %d of %s may sign and cannot: %s", v, name, w.story())
		require.False(w.T, !erased && v < s.erasedTo, "the private half of version %d of %s is back: %s", v, name, w.story())
		if erased {
			s.erasedTo = max(s.erasedTo, v+1)
		}
		if v >= s.minDec {
			require.Equal(w.T, s.chains[v], chains[fmt.Sprint(v)].Chain, "version %d of %s: %s", v, name, w.story())
		}
	}
}
