// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// outsideKeys are keys that neither engine made: a trial has $name, wrapped for its side, and $name_pem, the public half.
type outsideKeys struct {
	keys   map[string][]byte // as they are wrapped
	public map[string]string // PEM, as it stands in JSON
}

func makeOutsideKeys(t *testing.T) *outsideKeys {
	o := &outsideKeys{map[string][]byte{}, map[string]string{}}
	for name, size := range map[string]int{"aes16": 16, "aes32": 32, "other32": 32, "hmac100": 100, "hmac512": 512, "long513": 513, "nokey24": 24} {
		o.keys[name] = make([]byte, size)
		_, err := rand.Read(o.keys[name])
		require.NoError(t, err)
	}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		o.add(t, name, key)
	}
	for name, bits := range map[string]int{"rsa2048": 2048, "second2048": 2048, "rsa3072": 3072, "rsa4096": 4096} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		o.add(t, name, key)
		if name == "second2048" {
			o.keys["pss2048"] = pkcs8(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}}, x509.MarshalPKCS1PrivateKey(key))
		}
	}
	for _, name := range []string{"ed", "seconded"} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		o.add(t, name, key)
		o.keys["nss"+name] = nss(t, key.Seed())
	}
	return o
}

func (o *outsideKeys) add(t *testing.T, name string, key crypto.Signer) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	o.keys[name] = der
	der, err = x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	require.NoError(t, err)
	o.public[name] = string(text[1 : len(text)-1])
}

// pkcs8 is a private key under an algorithm that the library of Go does not write.
func pkcs8(t *testing.T, algorithm pkix.AlgorithmIdentifier, key []byte) []byte {
	der, err := asn1.Marshal(struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}{0, algorithm, key})
	require.NoError(t, err)
	return der
}

// nss is an Ed25519 key as NSS writes it: as one on an elliptic curve.
func nss(t *testing.T, seed []byte) []byte {
	curve, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 15, 1})
	require.NoError(t, err)
	inner, err := asn1.Marshal(struct {
		Version    int
		PrivateKey []byte
	}{1, seed})
	require.NoError(t, err)
	return pkcs8(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: curve}}, inner)
}

var oaepHashes = map[string]func() hash.Hash{"SHA1": sha1.New, "SHA224": sha256.New224, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New}

// wrapFor wraps every key for the wrapping key of a mount, and gives the results to a side.
func (o *outsideKeys) wrapFor(t *testing.T, s *harness.Server, d *side) {
	block, _ := pem.Decode([]byte(s.Do(t, "GET", d.mount+"/wrapping_key", nil).Data()["public_key"].(string)))
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	public := parsed.(*rsa.PublicKey)
	require.Equal(t, 4096, public.N.BitLen())
	for name, key := range o.keys {
		d.vars[name] = wrapped(t, public, key, sha256.New)
	}
	for name, text := range o.public {
		d.vars[name+"_pem"] = text
	}
	for name, newHash := range oaepHashes {
		d.vars["aes32"+name] = wrapped(t, public, o.keys["aes32"], newHash)
	}
	broken := []byte(d.vars["aes32"])
	broken[len(broken)-8] ^= 1
	d.vars["broken"] = string(broken)
}

func wrapped(t *testing.T, public *rsa.PublicKey, key []byte, newHash func() hash.Hash) string {
	ephemeral := make([]byte, 32)
	_, err := rand.Read(ephemeral)
	require.NoError(t, err)
	first, err := rsa.EncryptOAEP(newHash(), rand.Reader, public, ephemeral, nil)
	require.NoError(t, err)
	kwp, err := subtle.NewKWP(ephemeral)
	require.NoError(t, err)
	second, err := kwp.Wrap(key)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(append(first, second...))
}

// importable is every type with a key of it.
var importable = map[string]string{
	"aes128-gcm96": "aes16", "aes256-gcm96": "aes32", "chacha20-poly1305": "aes32", "hmac": "hmac100", "ed25519": "ed",
	"ecdsa-p256": "p256", "ecdsa-p384": "p384", "ecdsa-p521": "p521", "rsa-2048": "rsa2048", "rsa-3072": "rsa3072", "rsa-4096": "rsa4096",
}

func importKey(namesAndValues ...any) step {
	return post("keys/$K/import", object(namesAndValues...))
}

func importVersion(namesAndValues ...any) step {
	return post("keys/$K/import_version", object(namesAndValues...))
}

// importTrials import.
func importTrials() (all []trial) {
	for kind, key := range importable {
		all = append(all, trial{name: "import " + kind, steps: []step{
			importKey("type", kind, "ciphertext", "$"+key), get("keys/$K"), importKey("type", kind, "ciphertext", "$"+key), rotate(),
			importVersion("ciphertext", "$"+key), get("keys/$K"), importVersion("ciphertext", "$"+key, "version", 1),
			config(`{"auto_rotate_period":"24h"}`), get("keys/$K"), config(`{"deletion_allowed":true}`), del("keys/$K"), importVersion("ciphertext", "$"+key),
		}})
		for other, key := range importable {
			all = append(all, trial{name: "import " + other + " as " + kind, steps: []step{
				importKey("type", kind, "ciphertext", "$"+key), get("keys/$K"), importKey("type", kind, "derived", true, "ciphertext", "$"+key), get("keys/$K"),
			}})
		}
		public := "$" + key + "_pem"
		all = append(all, trial{name: "import the public half of " + kind, steps: []step{
			importKey("type", kind, "public_key", public), get("keys/$K"), importVersion("public_key", public, "version", 1), importVersion("ciphertext", "$"+key),
			get("keys/$K"), importVersion("ciphertext", "$"+key, "version", 1), importVersion("public_key", public), get("keys/$K"),
			importVersion("ciphertext", "$"+key, "version", 2), importVersion("public_key", public, "version", 2), get("keys/$K"), importVersion("ciphertext", "$"+key),
			importVersion("ciphertext", "$"+key, "version", 9), importVersion("ciphertext", "$"+key, "version", -1), get("keys/$K"),
		}})
	}
	for name := range oaepHashes {
		all = append(all, trial{name: "unwrap with " + name, steps: []step{
			importKey("ciphertext", "$aes32"+name, "hash_function", name), get("keys/$K"), importVersion("ciphertext", "$aes32"+name, "hash_function", name),
			importVersion("ciphertext", "$aes32"+name, "hash_function", "SHA512"), get("keys/$K"),
		}})
	}
	for i, body := range []string{
		`{}`, `{"type":"nope"}`, `{"type":"rsa-2048"}`, `{"ciphertext":"AAAA"}`, `{"ciphertext":"no*base64"}`, `{"ciphertext":"$broken"}`, `{"ciphertext":"$nokey24"}`,
		`{"ciphertext":"$aes32","hash_function":"MD5"}`, `{"ciphertext":"$aes32","hash_function":"sha256"}`, `{"ciphertext":"$aes32","hash_function":""}`,
		`{"ciphertext":"$aes32","hash_function":"SHA512"}`, `{"ciphertext":"$aes32","convergent_encryption":true}`, `{"ciphertext":"$aes32","convergent_encryption":false}`,
		`{"ciphertext":"$aes32","derived":true}`, `{"ciphertext":"$aes32","exportable":true,"allow_plaintext_backup":true}`, `{"ciphertext":"$aes32","auto_rotate_period":"24h"}`,
		`{"ciphertext":"$aes32","auto_rotate_period":"24h","allow_rotation":true}`, `{"type":"hmac","ciphertext":"$hmac512"}`, `{"type":"hmac","ciphertext":"$long513"}`,
		`{"type":"ed25519","ciphertext":"$nssed"}`, `{"type":"ed25519","ciphertext":"$nssed","derived":true}`, `{"type":"rsa-2048","ciphertext":"$pss2048"}`,
		`{"type":"rsa-3072","ciphertext":"$pss2048"}`, `{"type":"rsa-2048","public_key":"$rsa2048_pem $rsa2048_pem"}`, `{"type":"rsa-2048","public_key":"text"}`,
		`{"type":"rsa-2048","public_key":"$rsa3072_pem"}`, `{"type":"ed25519","derived":true,"public_key":"$ed_pem"}`,
	} {
		all = append(all, trial{name: fmt.Sprintf("import body %d %s", i, body), steps: []step{
			post("keys/$K/import", body), get("keys/$K"), post("keys/$K/import_version", body), get("keys/$K"), rotate(), get("keys/$K"),
		}})
	}
	return append(all,
		trial{name: "import into what was made here", steps: []step{f0().create(), importVersion("ciphertext", "$aes32"), importKey("ciphertext", "$aes32"), get("keys/$K")}},
		trial{name: "rotate what may rotate", steps: []step{importKey("ciphertext", "$aes32", "allow_rotation", true), get("keys/$K"), rotate(), get("keys/$K")}},
		trial{name: "another private half", steps: []step{
			importKey("type", "rsa-2048", "public_key", "$rsa2048_pem"), importVersion("ciphertext", "$second2048", "version", 1), importVersion("ciphertext", "$rsa3072", "version", 1),
			importVersion("ciphertext", "$second2048"), get("keys/$K"), importVersion("ciphertext", "$rsa2048", "version", 1), get("keys/$K"),
		}},
		trial{name: "hmac keys of two sizes", steps: []step{importKey("type", "hmac", "ciphertext", "$hmac100"), importVersion("ciphertext", "$hmac512"), get("keys/$K")}},
		trial{name: "encrypt and decrypt with RSA", steps: []step{
			importKey("type", "rsa-2048", "public_key", "$rsa2048_pem"), post("encrypt/$K", object("plaintext", hello)).as("ct", "ciphertext"),
			importVersion("ciphertext", "$rsa2048"), post("decrypt/$K", object("ciphertext", "$ct")),
		}},
		trial{name: "export wrapped", steps: []step{
			f0().create(), importKey("ciphertext", "$aes32"), get("byok-export/$K/$K"), get("byok-export/none/$K"), get("byok-export/$K/none"),
			post("keys/$K-to/import", object("type", "rsa-2048", "public_key", "$rsa2048_pem")), post("keys/$K-from/import", object("ciphertext", "$aes32")),
			get("byok-export/$K-to/$K-from"), post("keys/$K-from/config", `{"exportable":true}`), get("byok-export/$K-to/$K-from"), get("byok-export/$K-to/$K-from/1"),
			get("byok-export/$K-to/$K-from/latest"), get("byok-export/$K-to/$K-from/2"), get("byok-export/$K-to/$K-from/0"), get("byok-export/$K-to/$K-from/x"),
			get("byok-export/$K-from/$K-from"), get("byok-export/$K-to/$K-from?hash=SHA1"), get("byok-export/$K-to/$K-from?hash=MD5"),
		}},
	)
}

// TestImportsAreThoseOfTransit is apart from the other trials: what is imported is wrapped for each engine.
func TestImportsAreThoseOfTransit(t *testing.T) {
	t.Parallel()
	s := server(t)
	keys := makeOutsideKeys(t)
	transitMount, keylifeMount := freshPair(t, s)
	transitVars, keylifeVars := newSide(transitMount, ""), newSide(keylifeMount, "")
	keys.wrapFor(t, s, transitVars)
	keys.wrapFor(t, s, keylifeVars)
	require.NotEqual(t, transitVars.vars["aes32"], keylifeVars.vars["aes32"])
	for i, tr := range importTrials() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			key := fmt.Sprintf("import-%d", i)
			runTrial(t, s, tr, transitVars.again(key), keylifeVars.again(key))
		})
	}
}

// again is the side for another trial, with what was prepared.
func (d *side) again(key string) *side {
	next := newSide(d.mount, key)
	for name, value := range d.vars {
		if name != "K" {
			next.vars[name] = value
		}
	}
	return next
}

// TestAKeyThatBothEnginesImportedIsOneKey encrypts in one engine and decrypts in the other.
func TestAKeyThatBothEnginesImportedIsOneKey(t *testing.T) {
	t.Parallel()
	s := server(t)
	keys := makeOutsideKeys(t)
	transitMount, keylifeMount := freshPair(t, s)
	transit, keylife := newSide(transitMount, "one"), newSide(keylifeMount, "one")
	keys.wrapFor(t, s, transit)
	keys.wrapFor(t, s, keylife)
	for _, kind := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "rsa-2048", "rsa-3072", "rsa-4096"} {
		for from, to := range map[*side]*side{transit: keylife, keylife: transit} {
			from.vars["K"], to.vars["K"] = "one-"+kind, "one-"+kind
			for _, d := range []*side{from, to} {
				d.send(t, s, importKey("type", kind, "ciphertext", "$"+importable[kind]))
			}
			require.True(t, from.remember(kept{"ct", "ciphertext"}, from.send(t, s, post("encrypt/$K", object("plaintext", hello)))))
			to.vars["ct"] = from.vars["ct"]
			require.Equal(t, hello, to.send(t, s, post("decrypt/$K", object("ciphertext", "$ct"))).Data()["plaintext"], kind)
		}
	}
}

// TestAKeyMovesBetweenTheEngines exports from one engine for the wrapping key of the other, and imports there.
func TestAKeyMovesBetweenTheEngines(t *testing.T) {
	t.Parallel()
	s := server(t)
	transitMount, keylifeMount := freshPair(t, s)
	for i, pair := range [][2]string{{transitMount, keylifeMount}, {keylifeMount, transitMount}} {
		from, to := newSide(pair[0], fmt.Sprintf("moved-%d", i)), newSide(pair[1], fmt.Sprintf("moved-%d", i))
		public := s.Must(t, "GET", to.mount+"/wrapping_key", nil)["public_key"]
		s.Must(t, "POST", from.mount+"/keys/there/import", map[string]any{"type": "rsa-4096", "public_key": public})
		s.Must(t, "POST", from.mount+"/keys/"+from.vars["K"], map[string]any{"exportable": true})
		require.True(t, from.remember(kept{"ct", "ciphertext"}, from.send(t, s, post("encrypt/$K", object("plaintext", hello)))))
		moved := s.Must(t, "GET", from.mount+"/byok-export/there/"+from.vars["K"], nil)
		require.Equal(t, "aes256-gcm96", moved["type"])
		s.Must(t, "POST", to.mount+"/keys/"+to.vars["K"]+"/import", map[string]any{"ciphertext": moved["keys"].(map[string]any)["1"]})
		to.vars["ct"] = from.vars["ct"]
		require.Equal(t, hello, to.send(t, s, post("decrypt/$K", object("ciphertext", "$ct"))).Data()["plaintext"])
	}
}

// TestVaultsOwnCommandsImport runs those of Vault's command line on a keylife mount.
func TestVaultsOwnCommandsImport(t *testing.T) {
	t.Parallel()
	s := server(t)
	sh := shellOn(t, s, freshMount(t, s, harness.PluginName))
	keys := makeOutsideKeys(t)
	for _, name := range []string{"aes32", "other32", "ed", "rsa2048"} {
		require.NoError(t, os.WriteFile(filepath.Join(sh.dir, name), []byte(base64.StdEncoding.EncodeToString(keys.keys[name])), 0o600))
	}
	for _, command := range []string{
		"vault transit import keylife/keys/symmetric @aes32 type=aes256-gcm96 exportable=true",
		"vault transit import-version keylife/keys/symmetric @other32",
		"vault transit import keylife/keys/edwards @ed type=ed25519",
		"vault transit import keylife/keys/rsa @rsa2048 type=rsa-2048 allow_rotation=true",
	} {
		got, ok := sh.run(t, command)
		require.True(t, ok, "%s\n%s", command, strings.Join(got, "\n"))
		require.Contains(t, strings.Join(got, "\n"), "Success!")
	}
	view := s.Must(t, "GET", sh.mount+"/keys/symmetric", nil)
	require.Equal(t, json.Number("2"), view["latest_version"])
	require.Equal(t, true, view["imported_key"])
	got, ok := sh.run(t, "vault transit import keylife/keys/symmetric @aes32")
	require.False(t, ok)
	require.Contains(t, strings.Join(got, "\n"), "the import path cannot be used with an existing key")
}
