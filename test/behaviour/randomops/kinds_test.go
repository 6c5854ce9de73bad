// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package randomops_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kind is a type of key, and how keys of it come to be.
type kind struct {
	of                  string
	derived, convergent bool
	imported            bool
	slow                bool // to make
}

// kinds are one of each type that differs in how it is made, sealed or used.
var kinds = []kind{
	{of: "aes256-gcm96"},
	{of: "aes128-gcm96", derived: true},
	{of: "chacha20-poly1305", derived: true, convergent: true},
	{of: "xchacha20-poly1305"},
	{of: "ed25519"},
	{of: "ed25519", derived: true},
	{of: "ecdsa-p256"},
	{of: "ecdsa-p521"},
	{of: "rsa-2048", slow: true},
	{of: "mldsa-44"},
	{of: "hmac"},
	{of: "aes256-cmac"},
	{of: "aes256-gcm96", imported: true},
	{of: "hmac", imported: true},
	{of: "ed25519", imported: true},
	{of: "ecdsa-p256", imported: true},
	{of: "rsa-2048", imported: true, slow: true},
	{of: "aes256-cmac", imported: true},
}

func (k kind) String() string {
	return k.of + map[bool]string{true: ",derived"}[k.derived] + map[bool]string{true: ",convergent"}[k.convergent] + map[bool]string{true: ",imported"}[k.imported]
}

func (k kind) isOf(types ...string) bool { return slices.Contains(types, k.of) }

func (k kind) isRSA() bool     { return k.isOf("rsa-2048") }
func (k kind) encrypts() bool  { return !k.signs() && !k.isOf("hmac", "aes256-cmac") || k.isRSA() }
func (k kind) signs() bool     { return k.isPair() }
func (k kind) certified() bool { return k.isPair() && !k.derived && !k.isOf("mldsa-44") }
func (k kind) isPair() bool {
	return k.isOf("ed25519", "ecdsa-p256", "ecdsa-p521", "rsa-2048", "mldsa-44")
}

// byPublicHalf is whether the public half of a version is enough to verify with.
func (k kind) byPublicHalf() bool { return k.isPair() && !k.derived }

// losesPrivate is whether a policy may have private halves erased.
func (k kind) losesPrivate() bool { return k.byPublicHalf() && !k.isRSA() }

// leavesAs is which export has the material.
func (k kind) leavesAs() string {
	switch {
	case k.encrypts():
		return "encryption-key"
	case k.signs():
		return "signing-key"
	case k.isOf("aes256-cmac"):
		return "cmac-key"
	}
	return "hmac-key"
}

// outside are keys that no mount made, as an import takes them.
type outside struct {
	material []byte
	public   string // PEM; empty: there is none
}

// pool are RSA keys from outside, which take long to make; each walk has each of them once.
var pool struct {
	sync.Mutex
	keys []outside
}

// fromOutside returns the n-th key of a type from outside.
func fromOutside(t testing.TB, of string, n int) outside {
	t.Helper()
	if of != "rsa-2048" {
		return newOutside(t, of)
	}
	pool.Lock()
	defer pool.Unlock()
	for len(pool.keys) <= n {
		pool.keys = append(pool.keys, newOutside(t, of))
	}
	return pool.keys[n]
}

func newOutside(t testing.TB, of string) outside {
	t.Helper()
	var private crypto.Signer
	var err error
	switch of {
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa-p256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa-2048":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		key := make([]byte, 32)
		_, err = rand.Read(key)
		require.NoError(t, err)
		return outside{material: key}
	}
	require.NoError(t, err)
	material, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return outside{material, inPEM(t, private.Public())}
}

func inPEM(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// subject is a key in a walk over all kinds: what [modelKey] says of its versions, and what became of it besides.
type subject struct {
	modelKey
	kind
	id       int             // no two keys have the same, but a restored one its original's
	lacking  map[int]outside // versions without a private half, which is there outside
	shut     map[string]bool // uses that it is not allowed to any more
	chains   map[int]string  // certificates
	reported map[int]bool    // versions that were ever reported as compromised
	erasedTo int             // versions below have no private half any more
	publics  map[int]string
	made     map[int]time.Time
	proofs   []proof
	backups  []backup
}

func (s *subject) clone() *subject {
	c := *s
	c.modelKey = s.modelKey.clone()
	c.lacking, c.shut, c.chains, c.reported = maps.Clone(s.lacking), maps.Clone(s.shut), maps.Clone(s.chains), maps.Clone(s.reported)
	c.made, c.publics, c.proofs, c.backups = maps.Clone(s.made), maps.Clone(s.publics), slices.Clone(s.proofs), slices.Clone(s.backups)
	return &c
}

// hasPrivate is whether the private half of a version is there, or the only one of a symmetric key.
func (s *subject) hasPrivate(v int) bool {
	_, lacks := s.lacking[v]
	return !lacks && v >= s.erasedTo
}

// verifies is whether signatures of a version are verified.
func (s *subject) verifies(v int) bool {
	switch s.shows(v) {
	case "archived", "retired", "destroyed":
		return v >= s.minDec && s.byPublicHalf() && !s.reported[v] && s.state == "enabled"
	default:
		return s.processes(v)
	}
}

// backup is one of a key, with what was true of the key then.
type backup struct {
	text string
	of   *subject
}

// restored is the key of a backup in its new place.
func (b backup) restored() *subject {
	s := b.of.clone()
	s.backups = nil
	for v, own := range s.own {
		switch {
		case own == "retired" && s.reported[v]:
			s.own[v] = "compromised"
		case own == "retired":
			s.own[v] = "archived"
		}
	}
	s.state, s.before, s.released, s.line = "enabled", map[int]string{}, map[int]bool{}, nil
	clear(s.destroy)
	s.led = map[int]time.Time{s.primary: s.made[s.primary]}
	return s
}
