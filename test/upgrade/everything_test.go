// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package upgrade_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"regexp"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"github.com/keylife/vault-plugin-keylife/test/upgrade/fixture"
)

const day = 24 * time.Hour

// everything makes keys of all kinds under policies of all kinds, and has acts of all kinds done to them.
func (w *writer) everything() {
	w.people(map[string][]string{"key-approvers": {"bob", "carol", "dave"}, "on-call": {"erin"}})
	w.policies()
	w.types()
	w.operations()
	w.imports()
	w.certificate()
	w.many()
	w.clockwork()
	w.consent() // of which a jump of the clock leaves nothing
	w.settings()
}

func (w *writer) policies() {
	clockwork := body{
		"owner": "payments", "rotation_period": "24h", "rotation_jitter": "0s", "archive_after": "24h", "retire_after": "24h", "quiet_period": "24h",
		"destroy_delay": "24h", "min_versions_kept": 1, "rollback_window": "0", "reason": reason,
	}
	w.do("policies/clockwork", clockwork)
	byHand := body{"owner": "payments", "rotation_period": "24h", "rotation_mode": "manual", "destroy_delay": "720h", "quiet_period": "0", "min_versions_kept": 0}
	leaves := maps.Clone(byHand)
	leaves["exportable"], leaves["allow_plaintext_backup"] = true, true
	w.do("policies/by-hand", leaves, byHand)
	w.do("policies/by-hand", body{"description": "a second revision", "suspended_processing": "allow"})
	w.do("policies/limited", body{"owner": "payments", "max_encryptions": 1000, "labels": body{"env": "prod"}, "reason": reason}, body{"owner": "payments"})
}

// types makes a key of each type, with three versions.
func (w *writer) types() {
	for _, t := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048", "rsa-4096"} {
		w.versions(t, body{"type": t}, func() {
			w.protect(t, nil)
			w.sign("hmac", "hmac", t, nil)
			if t[:3] == "rsa" {
				w.sign("sign", "signature", t, body{"signature_algorithm": "pss"})
			}
		})
	}
	for _, t := range []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "mldsa-65"} {
		w.versions(t, body{"type": t}, func() { w.sign("sign", "signature", t, nil) })
	}
	w.versions("hmac", body{"type": "hmac", "key_size": 64}, func() { w.sign("hmac", "hmac", "hmac", nil) })
	w.versions("cmac", body{"type": "aes256-cmac"}, func() { w.sign("cmac", "cmac", "cmac", nil) })
	w.versions("derived", body{"derived": true}, func() { w.protect("derived", body{"context": b64("a context")}) })
	w.versions("convergent", body{"derived": true, "convergent_encryption": true}, func() {
		w.protect("convergent", body{"context": b64("a context")})
		w.protect("convergent", body{"context": b64("a context"), "associated_data": b64("beside it")})
	})
	w.versions("limited", body{"policy": "limited", "owner": "payments", "labels": body{"team": "cards"}}, func() { w.protect("limited", body{"associated_data": b64("beside it")}) })
}

// versions makes a key of three versions, and uses it with each of them.
func (w *writer) versions(key string, with body, use func(), earlier ...body) {
	if _, ok := w.do("keys/"+key, with, earlier...); !ok {
		return
	}
	use()
	for range 2 {
		w.op(key, "rotate")
		use()
	}
}

// operations has a key in each state, and a version in each that is not the clock's.
func (w *writer) operations() {
	for _, key := range []string{"suspended", "archived", "retired", "held", "rolled-back", "staged", "mixed", "agile"} {
		w.versions(key, body{"policy": "by-hand", "exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true, "reason": reason}, func() { w.protect(key, nil) },
			body{"policy": "by-hand", "deletion_allowed": true, "reason": reason}, body{"policy": "by-hand", "reason": reason})
	}
	w.op("mixed", "rotate", "versions/3/suspend", "versions/2/archive", "versions/1/compromise")
	w.denied("mixed")
	w.op("suspended", "suspend")
	w.op("archived", "archive")
	w.op("retired", "archive", "retire")
	w.op("rolled-back", "rollback")
	w.do("keys/staged/rotate", body{"stage": true, "reason": reason})
	w.do("keys/agile/rotate", body{"type": "chacha20-poly1305", "reason": reason})
	w.protect("agile", nil)
	w.do("keys/agile/drill", body{"record": true, "reason": reason})
	w.do("keys/held/hold", body{"hold": true, "reason": reason})
	w.do("keys/trimmed", nil)
	w.op("trimmed", "rotate", "rotate")
	w.do("keys/trimmed/config", body{"min_decryption_version": 3, "min_encryption_version": 3})
	w.do("keys/trimmed/trim", body{"min_available_version": 3, "reason": reason})
	w.do("keys/deleted", nil)
	w.do("keys/deleted/config", body{"deletion_allowed": true})
	if r := w.s.Do(w.t, http.MethodDelete, mount+"/keys/deleted", nil); r.Status >= 300 {
		w.refused("keys/deleted", r)
	}
}

// denied uses a version that is archived.
func (w *writer) denied(key string) {
	for _, p := range w.made.Proofs {
		if p.Path == "decrypt/"+key {
			w.send("bob", p.Path, p.Body)
		}
	}
}

// imports takes keys in that others made, wrapped and in backups, and a public half.
func (w *writer) imports() {
	r := w.get("wrapping_key")
	if r.Status != http.StatusOK {
		w.refused("wrapping_key", r)
		return
	}
	block, _ := pem.Decode([]byte(r.Data()["public_key"].(string)))
	wrapping, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(w.t, err)
	w.do("keys/imported/import", body{"type": "aes256-gcm96", "ciphertext": w.wrap(wrapping.(*rsa.PublicKey), []byte(rand.Text() + rand.Text())[:32]), "allow_rotation": true})
	w.protect("imported", nil)
	w.op("imported", "rotate")
	outside, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	der, err := x509.MarshalPKIXPublicKey(outside.Public())
	require.NoError(w.t, err)
	w.do("keys/public-half/import", body{"type": "ecdsa-p256", "public_key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	backup := w.get("backup/mixed")
	if backup.Status != http.StatusOK {
		w.refused("backup/mixed", backup)
		return
	}
	w.do("restore/restored", body{"backup": backup.Data()["backup"], "reason": reason})
}

// wrap is how an import takes a key.
func (w *writer) wrap(wrapping *rsa.PublicKey, key []byte) string {
	ephemeral := []byte(rand.Text() + rand.Text())[:32]
	first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping, ephemeral, nil)
	require.NoError(w.t, err)
	kwp, err := subtle.NewKWP(ephemeral)
	require.NoError(w.t, err)
	second, err := kwp.Wrap(key)
	require.NoError(w.t, err)
	return base64.StdEncoding.EncodeToString(append(first, second...))
}

// certificate gives a version a certificate.
func (w *writer) certificate() {
	data, ok := w.do("keys/ecdsa-p256/csr", body{})
	if !ok {
		return
	}
	block, _ := pem.Decode([]byte(data["csr"].(string)))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(w.t, err)
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a fixture"}, NotBefore: w.s.Now(), NotAfter: w.s.Now().Add(100 * 365 * day),
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, request.PublicKey, ca)
	require.NoError(w.t, err)
	w.do("keys/ecdsa-p256/set-certificate", body{"certificate_chain": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))})
}

// many makes a key of so many versions that their dates fill a page. Versions of which nobody needs anything are trimmed.
func (w *writer) many() {
	const versions = 258
	w.do("keys/many", nil)
	w.protect("many", nil)
	for range versions - 1 {
		w.do("keys/many/rotate", nil)
	}
	w.do("keys/many/config", body{"min_decryption_version": versions - 8, "min_encryption_version": versions - 8})
	w.do("keys/many/trim", body{"min_available_version": versions - 8, "reason": reason})
	w.protect("many", nil)
}

var askedID = regexp.MustCompile(`ap-[a-z2-7]{26}`)

// consent has a request that waits, one that was done, and an act by break-glass that waits for its review.
func (w *writer) consent() {
	if _, ok := w.do("config/approvals", body{"duties": "I look at what I approve.", "approver_wait": 0, "break_glass_groups": []string{"on-call"}, "break_glass_operations": []string{"resume"}}); !ok {
		return
	}
	duties := w.get("approvers/duties").Data()["duties_hash"]
	for _, who := range []string{"bob", "carol", "dave", "erin"} {
		w.as(who, "approvers/acknowledge", body{"duties_hash": duties})
	}
	w.do("policies/governed", body{
		"owner": "payments", "approvals": body{"retire": "2 of key-approvers", "resume": "1 of key-approvers"},
		"quiet_period": "0", "min_versions_kept": 0, "rollback_window": "0", "reason": reason,
	})
	w.versions("governed", body{"policy": "governed", "reason": reason}, func() { w.protect("governed", nil) })
	w.op("governed", "versions/1/archive")
	w.ask("governed", 1)
	w.versions("consented", body{"policy": "governed", "reason": reason}, func() { w.protect("consented", nil) })
	w.op("consented", "versions/1/archive", "versions/2/suspend")
	w.ask("consented", 2)
	w.as("erin", "keys/consented/versions/2/resume", body{"break_glass": true, "reason": reason})
}

// ask asks for retiring version 1, has it approved so often, and does it where that is enough.
func (w *writer) ask(key string, votes int) {
	path := "keys/" + key + "/versions/1/retire"
	r := w.send("alice", path, body{"reason": reason})
	require.Equal(w.t, http.StatusPreconditionRequired, r.Status, "%v", r.Body)
	id := askedID.FindString(fmt.Sprint(r.Body["errors"]))
	for _, who := range []string{"bob", "carol"}[:votes] {
		w.as(who, "approvals/"+id+"/approve", body{})
	}
	if votes == 2 {
		w.as("alice", path, body{"reason": reason})
	}
}

// clockwork lets days go by for a key whose versions live by the clock, until one is destroyed, and one for which nobody rotates.
func (w *writer) clockwork() {
	w.do("keys/clockwork", body{"policy": "clockwork"})
	w.do("keys/overdue", body{"policy": "by-hand", "reason": reason})
	for range 6 {
		w.protect("clockwork", nil)
		w.later(day + time.Hour)
	}
}

func (w *writer) settings() {
	w.do("config/keys", body{"disable_upsert": true})
	w.do("config/engine", body{"default_policy": "by-hand"})
	w.do("cache-config", body{"size": 1000})
	w.do("access-review/attest", body{"reason": reason})
	w.checkpoint()
	w.do("custody/rotate-key", body{"reason": reason}, body{})
	w.checkpoint()
}

func (w *writer) checkpoint() {
	if data, ok := w.do("custody/checkpoint", nil); ok {
		payload, _ := data["payload"].(string)
		id, _ := data["key_id"].(string)
		signature, _ := data["signature"].(string)
		w.made.Signed = append(w.made.Signed, fixture.Checkpoint{Payload: payload, KeyID: id, Signature: signature})
	}
}
