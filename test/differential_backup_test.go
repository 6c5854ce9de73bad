// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// carried is a key that goes from one engine to the other and back.
type carried struct {
	name string
	body map[string]any
}

func carriedKeys() []carried {
	var all []carried
	add := func(name string, namesAndValues ...any) {
		body := map[string]any{"exportable": true, "allow_plaintext_backup": true}
		for i := 0; i < len(namesAndValues); i += 2 {
			body[namesAndValues[i].(string)] = namesAndValues[i+1]
		}
		all = append(all, carried{name, body})
	}
	for _, f := range flavours() {
		add(f.kind+"-"+f.mode, "type", f.kind, "derived", f.derived(), "convergent_encryption", f.mode == "convergent")
	}
	for _, kind := range []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096"} {
		add(kind, "type", kind)
	}
	add("ed25519-derived", "type", "ed25519", "derived", true)
	add("hmac", "type", "hmac", "key_size", 77)
	return all
}

// exports is all that an engine gives out of a key.
func exports(t *testing.T, s *harness.Server, mount, name string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, kind := range []string{"encryption-key", "signing-key", "hmac-key", "public-key"} {
		reply := s.Do(t, http.MethodGet, mount+"/export/"+kind+"/"+name, nil)
		out[kind] = fmt.Sprint(reply.Status, reply.Data()["keys"])
	}
	return out
}

func backupFrom(t *testing.T, s *harness.Server, mount, name string) string {
	t.Helper()
	text, _ := s.Must(t, http.MethodGet, mount+"/backup/"+name, nil)["backup"].(string)
	require.NotEmpty(t, text)
	return text
}

// TestKeysOfAllTypesGoThereAndBack: a backup of Transit restores in keylife, one of keylife in Transit, and what the one encrypted the other
// opens. The oldest version is trimmed, the next one archived by the floor.
func TestKeysOfAllTypesGoThereAndBack(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	for _, c := range carriedKeys() {
		t.Run(c.name, func(t *testing.T) {
			for _, way := range [][3]string{{transit, keylife, "there"}, {keylife, transit, "back"}} {
				from, to, name := way[0], way[1], c.name+"-"+way[2]
				s.Must(t, http.MethodPost, from+"/keys/"+name, c.body)
				var texts []string
				for version := 1; version <= 4; version++ {
					if version > 1 {
						s.Must(t, http.MethodPost, from+"/keys/"+name+"/rotate", nil)
					}
					texts = append(texts, encrypted(t, s, from, name, c))
				}
				s.Must(t, http.MethodPost, from+"/keys/"+name+"/config", map[string]any{"min_decryption_version": 3, "min_encryption_version": 3})
				s.Must(t, http.MethodPost, from+"/keys/"+name+"/trim", map[string]any{"min_available_version": 2})
				backup := backupFrom(t, s, from, name)
				require.Equal(t, 204, s.Do(t, http.MethodPost, to+"/restore", map[string]any{"backup": backup}).Status)
				require.Equal(t, 204, s.Do(t, http.MethodPost, to+"/restore/"+name+"-again", map[string]any{"backup": backup}).Status)
				requireSameKey(t, s, from, to, name)
				for _, name := range []string{name, name + "-again"} {
					require.Equal(t, exports(t, s, from, c.name+"-"+way[2]), exports(t, s, to, name))
					opens(t, s, to, name, c, texts, 3)
					s.Must(t, http.MethodPost, to+"/keys/"+name+"/config", map[string]any{"min_decryption_version": 2})
					opens(t, s, to, name, c, texts, 2)
					s.Must(t, http.MethodPost, to+"/keys/"+name+"/rotate", nil)
					opens(t, s, to, name, c, append(texts, encrypted(t, s, to, name, c)), 2)
				}
			}
		})
	}
}

// TestTransitRefusesABackupOfATypeThatItHasNot, by the name of the member, and makes no key.
func TestTransitRefusesABackupOfATypeThatItHasNot(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	for _, kind := range []string{"xchacha20-poly1305", "mldsa-44", "mldsa-65", "mldsa-87"} {
		s.Must(t, http.MethodPost, keylife+"/keys/"+kind, map[string]any{"type": kind, "exportable": true, "allow_plaintext_backup": true})
		backup := map[string]any{"backup": backupFrom(t, s, keylife, kind)}
		reply := s.Do(t, http.MethodPost, transit+"/restore", backup)
		require.Equal(t, 500, reply.Status)
		require.Contains(t, fmt.Sprint(reply.Body["errors"]), "policy.type")
		require.Equal(t, 404, s.Do(t, http.MethodGet, transit+"/keys/"+kind, nil).Status)
		require.Equal(t, 204, s.Do(t, http.MethodPost, keylife+"/restore/"+kind+"-again", backup).Status)
	}
}

// TestAnImportedKeyGoesThereAndBack: of its first version neither engine has a private half, and that has a certificate.
func TestAnImportedKeyGoesThereAndBack(t *testing.T) {
	t.Parallel()
	s := server(t)
	transit, keylife := freshPair(t, s)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(1, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for from, to := range map[string]string{transit: keylife, keylife: transit} {
		s.Must(t, http.MethodPost, from+"/keys/k/import", map[string]any{
			"type": "ecdsa-p256", "public_key": public, "exportable": true, "allow_plaintext_backup": true,
		})
		s.Must(t, http.MethodPost, from+"/keys/k/set-certificate", map[string]any{"certificate_chain": chain})
		require.Equal(t, 204, s.Do(t, http.MethodPost, to+"/restore/again", map[string]any{"backup": backupFrom(t, s, from, "k")}).Status)
		was, is := s.Must(t, http.MethodGet, from+"/keys/k", nil), s.Must(t, http.MethodGet, to+"/keys/again", nil)
		for _, view := range []map[string]any{was, is} { // keylife shows the second
			delete(view["keys"].(map[string]any)["1"].(map[string]any), "creation_time")
		}
		for _, field := range []string{"imported_key", "imported_key_allow_rotation", "keys"} {
			require.Equal(t, was[field], is[field], field)
		}
		for _, side := range []string{from + "/%s/k", to + "/%s/again"} {
			require.Equal(t, 500, s.Do(t, http.MethodPost, fmt.Sprintf(side, "keys")+"/rotate", nil).Status)
			require.Equal(t, 500, s.Do(t, http.MethodPost, fmt.Sprintf(side, "sign"), map[string]any{"input": hello}).Status)
			exported := s.Must(t, http.MethodGet, fmt.Sprintf(side, "export/certificate-chain"), nil)["keys"]
			require.Equal(t, map[string]any{"1": strings.TrimSpace(chain)}, exported)
		}
	}
}

// requireSameKey compares what both show of a key, but for what is keylife's, or a moment.
func requireSameKey(t *testing.T, s *harness.Server, from, to, name string) {
	t.Helper()
	a, b := s.Must(t, http.MethodGet, from+"/keys/"+name, nil), s.Must(t, http.MethodGet, to+"/keys/"+name, nil)
	for field := range a {
		other, both := b[field]
		if !both || field == "keys" {
			continue
		}
		require.Equal(t, a[field], other, field)
	}
}

// encrypted is a ciphertext, or an empty text where the type has none.
func encrypted(t *testing.T, s *harness.Server, mount, name string, c carried) string {
	t.Helper()
	reply := s.Do(t, http.MethodPost, mount+"/encrypt/"+name, map[string]any{"plaintext": hello, "context": topic})
	text, _ := reply.Data()["ciphertext"].(string)
	if text == "" {
		require.NotEqual(t, 200, reply.Status, c.name)
	}
	return text
}

// opens holds which ciphertexts open: those from the floor on, but for the one that was trimmed.
func opens(t *testing.T, s *harness.Server, mount, name string, c carried, texts []string, floor int) {
	t.Helper()
	for i, text := range texts {
		if text == "" {
			continue
		}
		reply := s.Do(t, http.MethodPost, mount+"/decrypt/"+name, map[string]any{"ciphertext": text, "context": topic})
		require.Equal(t, i+1 >= floor, reply.Status == 200, "%s version %d: %v", c.name, i+1, reply.Body)
		if reply.Status == 200 {
			require.Equal(t, hello, reply.Data()["plaintext"])
		}
	}
}

// backupTrials hold the statuses of backup and restore.
func backupTrials() []trial {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	both := post("keys/$K", `{"exportable":true,"allow_plaintext_backup":true}`)
	backup := get("backup/$K").as("b", "backup")
	restore := func(name, more string) step { return post("restore"+name, `{"backup":"$b"`+more+`}`) }
	all := []trial{
		{name: "back up", steps: []step{
			post("keys/$K", `{}`), get("backup/$K"), config(`{"allow_plaintext_backup":true}`), get("backup/$K"),
			config(`{"exportable":true}`), get("backup/$K"), get("backup/missing"), get("backup"), get("backup/"), post("backup/$K", `{}`), list("backup"),
		}},
		{name: "restore a key", steps: []step{
			both, f0().encrypt("ct"), backup, restore("", ""), restore("/$K", ""), restore("", `,"force":false`),
			restore("/$K-copy", ""), get("keys/$K-copy"), restore("/$K-copy", ""), restore("", `,"force":true`), f0().decrypt("$ct"), get("keys/$K"),
			config(`{"deletion_allowed":true}`), del("keys/$K"), f0().decrypt("$ct"), restore("", ""), f0().decrypt("$ct"),
		}},
		{name: "restore by force what is not there", steps: []step{both, backup, restore("/$K-new", `,"force":true`), get("keys/$K-new")}},
		{name: "methods of restore", steps: []step{get("restore"), get("restore/$K"), list("restore"), del("restore/$K")}},
		{name: "restore to a path", steps: []step{both, backup, restore("/$K/b", ""), restore("/$K%2fb", "")}},
		{name: "restore with nonsense beside it", steps: []step{both, backup, restore("/$K-more", `,"nonsense":1`)}},
	}
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{`, `"text"`, `{"backup":null}`, `{"backup":""}`, `{"backup":"!!!"}`, `{"backup":123}`, `{"backup":["a"]}`, `{"backup":{}}`, `{"backup":true}`,
		object("backup", encode("{")), object("backup", encode("[]")), object("backup", encode(`{"policy":{}}`)), object("backup", encode(`{"policy":[]}`)),
		object("backup", encode(`{"policy":{"keys":7}}`)), object("backup", encode("text")), `{"backup":"e30=","force":"x"}`,
	} {
		all = append(all, trial{name: "restore " + body, steps: []step{post("restore/$K", body), post("restore", body), get("keys/$K")}})
	}
	return all
}

func backupDifferences() []intended {
	encode := func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		return object("backup", base64.StdEncoding.EncodeToString(text))
	}
	aes := func(change func(policy map[string]any)) string {
		policy := map[string]any{
			"name": "k", "type": 0, "latest_version": 1, "archive_version": 1, "min_decryption_version": 1,
			"keys": map[string]any{"1": map[string]any{"key": make([]byte, 32), "hmac_key": make([]byte, 32)}},
		}
		change(policy)
		return encode(map[string]any{"policy": policy, "archived_keys": map[string]any{"keys": []any{map[string]any{}, map[string]any{}}}})
	}
	says := func(text string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
			require.Contains(t, fmt.Sprint(answer.Body["errors"]), text)
			require.Equal(t, 404, k.send(t, s, get("keys/$K")).Status, "nothing was written")
		}
	}
	const reason = "Transit restores a key that does not work"
	return []intended{
		{
			name: "restore a type that nobody has", reason: reason, differs: post("restore/$K", aes(func(p map[string]any) { p["type"] = 99 })),
			transit: 204, keylife: 400, holds: says("unknown key type"),
		},
		{
			name: "restore a key of the wrong length", reason: reason, transit: 204, keylife: 400, holds: says("version 1: key of 3 bytes"),
			differs: post("restore/$K", aes(func(p map[string]any) { p["keys"].(map[string]any)["1"].(map[string]any)["key"] = []byte("abc") })),
		},
		{
			name: "restore convergent keys of old", reason: "their nonces are the caller's, or not of the plaintext alone", transit: 204, keylife: 400, holds: says("convergent_version is 1"),
			differs: post("restore/$K", aes(func(p map[string]any) {
				p["derived"], p["kdf"], p["convergent_encryption"], p["convergent_version"] = true, 1, true, 1
			})),
		},
		{
			name: "restore derived keys of old", reason: "no key is made with that function any more", transit: 204, keylife: 400, holds: says("kdf: 0"),
			differs: post("restore/$K", aes(func(p map[string]any) { p["derived"], p["kdf"] = true, 0 })),
		},
		{
			name: "restore an imported key with a period", reason: "it must not rotate, and never did", transit: 204, keylife: 204,
			differs: post("restore/$K", aes(func(p map[string]any) { p["Imported"], p["auto_rotate_period"] = true, 2*time.Hour })),
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Equal(t, "0", fmt.Sprint(k.send(t, s, get("keys/$K")).Data()["auto_rotate_period"]))
			},
		},
		{
			name: "restore to a name that no path leads to", reason: "Transit makes a key that nobody can reach", transit: 204, keylife: 400, holds: says("name: "),
			differs: post("restore/$K-", aes(func(map[string]any) {})),
		},
	}
}
