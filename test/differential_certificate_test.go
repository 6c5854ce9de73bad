// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certify gives a trial a certificate for the key that each side has imported, from one authority.
func (o *outsideKeys) certify(t *testing.T, sides ...*side) {
	authority, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	root, err := x509.CreateCertificate(rand.Reader, template, template, authority.Public(), authority)
	require.NoError(t, err)
	texts := map[string]string{"root": inJSON(t, "CERTIFICATE", root)}
	for name, text := range o.public {
		public, err := x509.ParsePKIXPublicKey(outOfJSON(t, text))
		require.NoError(t, err)
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true,
		}, template, public, authority)
		require.NoError(t, err)
		texts["leaf_"+name] = inJSON(t, "CERTIFICATE", leaf)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "wanted"}, DNSNames: []string{"a.example"}}, authority)
	require.NoError(t, err)
	texts["request"] = inJSON(t, "CERTIFICATE REQUEST", request)
	for _, d := range sides {
		for name, text := range texts {
			d.vars[name] = text
		}
	}
}

func inJSON(t *testing.T, kind string, der []byte) string {
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	require.NoError(t, err)
	return string(text[1 : len(text)-1])
}

func outOfJSON(t *testing.T, text string) []byte {
	var plain string
	require.NoError(t, json.Unmarshal([]byte(`"`+text+`"`), &plain))
	block, _ := pem.Decode([]byte(plain))
	return block.Bytes
}

func certificateTrials() (all []trial) {
	set := func(namesAndValues ...any) step { return post("keys/$K/set-certificate", object(namesAndValues...)) }
	csr := func(namesAndValues ...any) step { return post("keys/$K/csr", object(namesAndValues...)) }
	for kind, key := range importable {
		all = append(all, trial{name: "certificates of " + kind, steps: []step{
			csr(), set("certificate_chain", "$leaf_"+key), importKey("type", kind, "ciphertext", "$"+key), get("keys/$K"),
			csr("version", 2), csr("version", -1), csr("csr", "text"), csr("csr", "$root"),
			set(), set("certificate_chain", ""), set("certificate_chain", "text"), set("certificate_chain", "$request"), set("certificate_chain", "$root"),
			set("certificate_chain", "$leaf_seconded"), set("certificate_chain", "$leaf_second2048"), set("certificate_chain", "$leaf_p384"), get("keys/$K"),
			set("certificate_chain", "$leaf_"+key+"$leaf_"+key), set("certificate_chain", "$leaf_"+key+"text"), set("certificate_chain", "$leaf_"+key, "version", 2),
			set("certificate_chain", "$leaf_"+key, "version", -1), set("certificate_chain", "$leaf_"+key), set("certificate_chain", "$leaf_"+key+"$root", "version", 1), get("keys/$K"),
		}})
		if slices.Contains([]string{"ed", "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"}, key) {
			all = append(all, trial{name: "certificates of a public half of " + kind, steps: []step{importKey("type", kind, "public_key", "$"+key+"_pem"), csr(), csr("version", 1)}})
		}
	}
	return append(all,
		trial{name: "no certificates of derived keys", steps: []step{post("keys/$K", `{"type":"ed25519","derived":true}`), csr(), set("certificate_chain", "$leaf_ed"), csr("csr", "$request")}},
		trial{name: "certificates and floors", steps: []step{
			post("keys/$K", `{"type":"ecdsa-p256"}`), rotate(), config(`{"min_encryption_version":2,"min_decryption_version":2}`), csr("version", 1), set("certificate_chain", "$leaf_p256", "version", 1),
		}},
	)
}

func TestCertificatesAreThoseOfTransit(t *testing.T) {
	t.Parallel()
	s := server(t)
	keys := makeOutsideKeys(t)
	transitMount, keylifeMount := freshPair(t, s)
	transitVars, keylifeVars := newSide(transitMount, ""), newSide(keylifeMount, "")
	keys.wrapFor(t, s, transitVars)
	keys.wrapFor(t, s, keylifeVars)
	keys.certify(t, transitVars, keylifeVars)
	for i, tr := range certificateTrials() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			key := fmt.Sprintf("certificate-%d", i)
			runTrial(t, s, tr, transitVars.again(key), keylifeVars.again(key))
		})
	}
	for kind, key := range importable {
		if keys.public[key] == "" {
			continue
		}
		k := keylifeVars.again("requested-" + kind)
		k.send(t, s, importKey("type", kind, "ciphertext", "$"+key))
		block, _ := pem.Decode([]byte(k.send(t, s, post("keys/$K/csr", object("csr", "$request"))).Data()["csr"].(string)))
		request, err := x509.ParseCertificateRequest(block.Bytes)
		require.NoError(t, err, kind)
		require.NoError(t, request.CheckSignature(), kind)
		require.Equal(t, "wanted", request.Subject.CommonName)
		require.Equal(t, []string{"a.example"}, request.DNSNames)
	}
}
