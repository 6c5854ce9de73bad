// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// signing are the types that sign, but for long RSA keys.
var signing = []string{"rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"}

// hashesOf are those that keys of a type sign with.
func hashesOf(kind string) []string {
	if kind == "ed25519" {
		return []string{"sha2-256"}
	}
	return []string{"sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512"}
}

// residentOf makes a key of a type on the token.
func (w *world) residentOf(kind string, kv ...any) {
	w.T.Helper()
	shown := w.Must(w.Write("keys/k", append([]any{"protection", "hsm", "type", kind}, kv...)...)).Data
	require.Equal(w.T, "hsm", shown["protection"])
	require.Equal(w.T, kind, shown["type"])
}

// publicOf is the public half of a version as the key shows it.
func (w *world) publicOf(version int) crypto.PublicKey {
	w.T.Helper()
	encoded, err := json.Marshal(w.Must(w.Read("keys/k")).Data["keys"])
	require.NoError(w.T, err)
	var keys map[string]struct {
		PublicKey string `json:"public_key"`
	}
	require.NoError(w.T, json.Unmarshal(encoded, &keys))
	text := keys[fmt.Sprint(version)].PublicKey
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		raw, err := base64.StdEncoding.DecodeString(text)
		require.NoError(w.T, err)
		return ed25519.PublicKey(raw)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(w.T, err)
	return key
}

func (w *world) signature(kv ...any) string {
	w.T.Helper()
	return w.Must(w.Write("sign/k", kv...)).Data["signature"].(string)
}

func (w *world) verified(kv ...any) bool {
	w.T.Helper()
	return w.Must(w.Write("verify/k", kv...)).Data["valid"].(bool)
}

func TestAPairOnTheTokenSignsAsOneInSoftware(t *testing.T) {
	for _, kind := range signing {
		run(t, func(t *testing.T, w *world) {
			w.configure()
			w.residentOf(kind)
			input, other := mounttest.B64("input"), mounttest.B64("other")
			schemes := []string{""}
			if kind == "rsa-2048" {
				schemes = []string{"", "pss", "pkcs1v15"}
			}
			for _, hash := range hashesOf(kind) {
				for _, marshaling := range []string{"asn1", "jws"} {
					for _, scheme := range schemes {
						how := []any{"hash_algorithm", hash, "marshaling_algorithm", marshaling, "signature_algorithm", scheme}
						s := w.signature(append(how, "input", input)...)
						require.True(t, strings.HasPrefix(s, "vault:v1:"))
						require.Zero(t, w.calls(func() {
							require.True(t, w.verified(append(how, "input", input, "signature", s)...), "%s %s %s %s", kind, hash, marshaling, scheme)
							require.False(t, w.verified(append(how, "input", other, "signature", s)...))
						}), "verifying asks the token for nothing")
					}
				}
			}
			require.Equal(t, 1, w.calls(func() { w.signature("input", input) }))
			batch := []any{map[string]any{"input": input}, map[string]any{"input": other}}
			require.Equal(t, 2, w.calls(func() { w.Must(w.Write("sign/k", "batch_input", batch)) }))
			requireForeignVerifies(t, w, kind)
		})
	}
}

// requireForeignVerifies has the standard library verify what is shown with what is shown.
func requireForeignVerifies(t *testing.T, w *world, kind string) {
	t.Helper()
	digest := sha256.Sum256([]byte("input"))
	payload := func(kv ...any) string {
		_, s, _ := strings.Cut(strings.TrimPrefix(w.signature(append(kv, "input", mounttest.B64("input"))...), "vault:"), ":")
		return s
	}
	switch public := w.publicOf(1).(type) {
	case ed25519.PublicKey:
		raw, err := base64.StdEncoding.DecodeString(payload())
		require.NoError(t, err)
		require.True(t, ed25519.Verify(public, []byte("input"), raw))
	case *ecdsa.PublicKey:
		raw, err := base64.StdEncoding.DecodeString(payload())
		require.NoError(t, err)
		require.True(t, ecdsa.VerifyASN1(public, digest[:], raw))
		raw, err = base64.RawURLEncoding.DecodeString(payload("marshaling_algorithm", "jws"))
		require.NoError(t, err)
		half := (public.Params().BitSize + 7) / 8
		require.Len(t, raw, 2*half)
		require.True(t, ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])))
	case *rsa.PublicKey:
		raw, err := base64.StdEncoding.DecodeString(payload())
		require.NoError(t, err)
		require.NoError(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], raw, &rsa.PSSOptions{SaltLength: 256 - 2 - 32}), "as long as it can be")
		raw, err = base64.StdEncoding.DecodeString(payload("salt_length", "hash"))
		require.NoError(t, err)
		require.NoError(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], raw, &rsa.PSSOptions{SaltLength: 32}))
		raw, err = base64.StdEncoding.DecodeString(payload("signature_algorithm", "pkcs1v15"))
		require.NoError(t, err)
		require.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], raw))
	default:
		require.Fail(t, kind)
	}
}

// TestAPairOnTheTokenAnswersWhatOneInSoftwareDoes: statuses and texts, those of faults too.
func TestAPairOnTheTokenAnswersWhatOneInSoftwareDoes(t *testing.T) {
	for _, kind := range signing {
		run(t, func(t *testing.T, w *world) {
			w.configure()
			w.residentOf(kind)
			w.Must(w.Write("keys/soft", "type", kind))
			digest := mounttest.B64(strings.Repeat("d", 32))
			for _, kv := range [][]any{
				{},
				{"input", "!"},
				{"input", digest, "prehashed", true},
				{"input", mounttest.B64("short"), "prehashed", true},
				{"input", mounttest.B64("short"), "prehashed", true, "signature_algorithm", "pkcs1v15"},
				{"input", digest, "prehashed", true, "hash_algorithm", "none", "signature_algorithm", "pkcs1v15"},
				{"input", mounttest.B64(strings.Repeat("d", 300)), "prehashed", true, "hash_algorithm", "none", "signature_algorithm", "pkcs1v15"},
				{"input", digest, "hash_algorithm", "none"},
				{"input", digest, "hash_algorithm", "sha3-256", "signature_algorithm", "pkcs1v15"},
				{"input", digest, "hash_algorithm", "md5"},
				{"input", digest, "marshaling_algorithm", "der"},
				{"input", digest, "signature_algorithm", "x"},
				{"input", digest, "salt_length", "5000"},
				{"input", digest, "salt_length", "auto"},
				{"input", digest, "salt_length", "17"},
				{"input", digest, "key_version", 2},
				{"batch_input", []any{map[string]any{"input": "!"}, map[string]any{"input": digest}}},
			} {
				soft, hard := w.Write("sign/soft", kv...), w.Write("sign/k", kv...)
				require.Equal(t, soft.Status, hard.Status, "%s %v: %v", kind, kv, hard.Err)
				require.Equal(t, fmt.Sprint(soft.Err), fmt.Sprint(hard.Err), "%s %v", kind, kv)
			}
			for _, path := range []string{"encrypt/", "datakey/plaintext/"} {
				soft, hard := w.Write(path+"soft", "plaintext", digest), w.Write(path+"k", "plaintext", digest)
				require.Equal(t, soft.Status, hard.Status, path)
				require.Equal(t, fmt.Sprint(soft.Err), fmt.Sprint(hard.Err), path)
			}
			for _, ciphertext := range []string{"", "vault:v1:!", "vault:v1:AAAA", "vault:v1:" + mounttest.B64(strings.Repeat("x", 256)), "vault:v2:AAAA"} {
				soft, hard := w.Write("decrypt/soft", "ciphertext", ciphertext), w.Write("decrypt/k", "ciphertext", ciphertext)
				require.Equal(t, soft.Status, hard.Status, "%s %q", kind, ciphertext)
				require.Equal(t, fmt.Sprint(soft.Err), fmt.Sprint(hard.Err), "%s %q", kind, ciphertext)
			}
		})
	}
}

func TestAnRSAKeyOnTheTokenDecrypts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.residentOf("rsa-2048")
		require.Equal(t, "x", w.Decrypt("k", w.Encrypt("k", "x")))
		for _, padding := range []string{"", "oaep", "pkcs1v15"} {
			kv := []any{"plaintext", mounttest.B64("x"), "padding_scheme", padding}
			var sealed string
			require.Zero(t, w.calls(func() { sealed = w.Must(w.Write("encrypt/k", kv...)).Data["ciphertext"].(string) }))
			require.Equal(t, 1, w.calls(func() {
				got := w.Must(w.Write("decrypt/k", "ciphertext", sealed, "padding_scheme", padding))
				require.Equal(t, mounttest.B64("x"), got.Data["plaintext"])
			}))
		}
		foreign, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, w.publicOf(1).(*rsa.PublicKey), []byte("foreign"), nil)
		require.NoError(t, err)
		require.Equal(t, "foreign", w.Decrypt("k", "vault:v1:"+base64.StdEncoding.EncodeToString(foreign)))
		first := w.Encrypt("k", "x")
		w.Must(w.Write("keys/k/rotate"))
		moved := w.Must(w.Write("rewrap/k", "ciphertext", first)).Data["ciphertext"].(string)
		require.Equal(t, "x", w.Decrypt("k", moved))
		require.True(t, strings.HasPrefix(moved, "vault:v2:"))
		require.Len(t, w.Decrypt("k", w.Must(w.Write("datakey/wrapped/k")).Data["ciphertext"].(string)), 32)
	})
}

// TestNothingIsEncryptedThatTheTokenDoesNotDecrypt: a token may know OAEP with SHA-1 only.
func TestNothingIsEncryptedThatTheTokenDoesNotDecrypt(t *testing.T) {
	runWith(t, faketoken.Config{NoSHA2OAEP: true}, func(t *testing.T, w *world) {
		w.configure()
		w.residentOf("rsa-2048")
		for _, padding := range []string{"", "oaep"} {
			w.Refused(w.Write("encrypt/k", "plaintext", mounttest.B64("x"), "padding_scheme", padding), `padding_scheme: "oaep"`, "does not decrypt")
			w.Refused(w.Write("decrypt/k", "ciphertext", "vault:v1:"+mounttest.B64(strings.Repeat("x", 256)), "padding_scheme", padding), "padding_scheme")
		}
		sealed := w.Must(w.Write("encrypt/k", "plaintext", mounttest.B64("x"), "padding_scheme", "pkcs1v15")).Data["ciphertext"]
		require.Equal(t, mounttest.B64("x"), w.Must(w.Write("decrypt/k", "ciphertext", sealed, "padding_scheme", "pkcs1v15")).Data["plaintext"])
		w.signature("input", mounttest.B64("x"))
	})
}

func TestAnHMACKeyOnTheTokenMakesHMACs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.residentOf("hmac", "key_size", 64)
		input := mounttest.B64("input")
		w.Must(w.Write("hmac/k", "input", input))
		for _, hash := range []string{"sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512"} {
			var mac string
			require.Equal(t, 1, w.calls(func() { mac = w.Must(w.Write("hmac/k/"+hash, "input", input)).Data["hmac"].(string) }))
			require.Equal(t, 1, w.calls(func() { require.True(t, w.verified("algorithm", hash, "input", input, "hmac", mac)) }))
			require.False(t, w.verified("algorithm", hash, "input", mounttest.B64("other"), "hmac", mac))
		}
		w.Refused(w.Write("hmac/k/sha3-256", "input", input), "algorithm", "CKM_SHA3_256_HMAC")
		w.Refused(w.Write("hmac/k", "input", mounttest.B64(strings.Repeat("x", 64<<10+1))), "input", "65537", "65536")
		w.Refused(w.Write("cmac/k", "input", input), "CMAC")
		for _, path := range []string{"sign/k", "encrypt/k"} {
			require.Equal(t, http.StatusBadRequest, w.Write(path, "input", input, "plaintext", input).Status, path)
		}
		mac := w.Must(w.Write("hmac/k", "input", input)).Data["hmac"].(string)
		w.Must(w.Write("keys/k/rotate"))
		w.respawn()
		require.True(t, w.verified("input", input, "hmac", mac))
		require.NotEqual(t, mac[len("vault:v1:"):], w.Must(w.Write("hmac/k", "input", input)).Data["hmac"].(string)[len("vault:v2:"):])
		w.Must(w.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
		w.Refused(w.Write("verify/k", "input", input, "hmac", mac))
		w.device.Vanish()
		require.Equal(t, http.StatusServiceUnavailable, w.Write("hmac/k", "input", input).Status)
	})
}

func TestAPairOnTheTokenMakesNoHMACs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.residentOf("ecdsa-p256")
		w.Refused(w.Write("hmac/k", "input", mounttest.B64("x")), `key "k"`, "a key there has no HMAC key")
		w.Refused(w.Write("verify/k", "input", mounttest.B64("x"), "hmac", "vault:v1:AAAA"), "a key there has no HMAC key")
	})
}

func TestACertificateRequestIsSignedOnTheToken(t *testing.T) {
	for _, kind := range signing {
		run(t, func(t *testing.T, w *world) {
			w.configure()
			w.residentOf(kind)
			w.signature("input", mounttest.B64("x"))
			var text string
			require.Equal(t, 1, w.calls(func() { text = w.Must(w.Write("keys/k/csr")).Data["csr"].(string) }))
			block, _ := pem.Decode([]byte(text))
			require.NotNil(t, block)
			request, err := x509.ParseCertificateRequest(block.Bytes)
			require.NoError(t, err)
			require.NoError(t, request.CheckSignature())
			require.Equal(t, w.publicOf(1), request.PublicKey)
			w.device.Vanish()
			require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/k/csr").Status)
		})
	}
}

func TestAPairOnTheTokenIsNeitherExportedNorMadeOfWhatIsImported(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		for _, kind := range []string{"rsa-2048", "ed25519", "hmac"} {
			for _, field := range []string{"exportable", "allow_plaintext_backup"} {
				w.Refused(w.Write("keys/k", "protection", "hsm", "type", kind, field, true), field+": true")
			}
		}
		w.Refused(w.Write("keys/k", "protection", "hsm", "type", "ed25519", "derived", true), "derived: true")
		w.Refused(w.Write("keys/k", "protection", "hsm", "type", "mldsa-44"), `type: "mldsa-44"`, "aes256-gcm96, ecdsa-p256")
		w.residentOf("rsa-2048")
		w.Must(w.Write("keys/target", "type", "rsa-2048"))
		for _, path := range []string{
			"export/signing-key/k", "export/encryption-key/k", "export/hmac-key/k", "backup/k", "byok-export/target/k",
		} {
			require.GreaterOrEqual(t, w.Read(path).Status, 400, path)
		}
		exported := w.Read("export/public-key/k")
		require.Less(t, exported.Status, 300, exported.Err)
		w.Must(w.Write("keys/mac", "protection", "hsm", "type", "hmac"))
		for _, key := range []string{"k", "mac"} {
			got := w.Write("keys/"+key+"/import_version", "ciphertext", w.Wrapped(make([]byte, 32)))
			require.GreaterOrEqual(t, got.Status, 400)
			require.Contains(t, got.Err, "was made here")
		}
		require.Len(t, w.residents(), 2)
		w.checkResidents()
	})
}
