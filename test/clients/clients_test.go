// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clients_test

import (
	"bytes"
	"crypto"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
	"github.com/hashicorp/go-kms-wrapping/wrappers/transit/v2"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var server *harness.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keylife-clients")
	if err == nil {
		server, err = harness.Launch(dir, harness.Standard())
	}
	status := 1
	if err == nil {
		status = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if server != nil {
		server.Close()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// onBoth runs a test against either engine, and tells clients by the environment where it is.
func onBoth(t *testing.T, test func(t *testing.T, mount string)) {
	t.Helper()
	t.Setenv("VAULT_ADDR", server.Address())
	t.Setenv("VAULT_TOKEN", server.Client().Token())
	for _, mount := range []string{"transit", "keylife"} {
		t.Run(mount, func(t *testing.T) { test(t, mount) })
	}
}

func TestTinkEncryptsWithIt(t *testing.T) {
	onBoth(t, func(t *testing.T, mount string) {
		server.Must(t, http.MethodPost, mount+"/keys/tink", map[string]any{})
		aead, err := hcvault.NewAEAD("/"+mount+"/keys/tink", server.Client().Logical())
		require.NoError(t, err)
		sealed, err := aead.Encrypt([]byte("a secret"), []byte("row 17"))
		require.NoError(t, err)
		server.Must(t, http.MethodPost, mount+"/keys/tink/rotate", map[string]any{})
		opened, err := aead.Decrypt(sealed, []byte("row 17"))
		require.NoError(t, err)
		require.Equal(t, "a secret", string(opened))
		_, err = aead.Decrypt(sealed, []byte("row 18"))
		require.Error(t, err)
	})
}

func TestTheWrapperOfVaultsSealsUsesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, mount string) {
		server.Must(t, http.MethodPost, mount+"/keys/unseal", map[string]any{})
		w := transit.NewWrapper()
		_, err := w.SetConfig(t.Context(), wrapping.WithConfigMap(map[string]string{
			"address": server.Address(), "token": server.Client().Token(), "mount_path": mount + "/", "key_name": "unseal", "disable_renewal": "true",
		}))
		require.NoError(t, err)
		blob, err := w.Encrypt(t.Context(), []byte("a root key"))
		require.NoError(t, err)
		require.Equal(t, "v1", blob.KeyInfo.KeyId)
		server.Must(t, http.MethodPost, mount+"/keys/unseal/rotate", map[string]any{})
		opened, err := w.Decrypt(t.Context(), blob)
		require.NoError(t, err)
		require.Equal(t, "a root key", string(opened))
		blob, err = w.Encrypt(t.Context(), []byte("a root key"))
		require.NoError(t, err)
		require.Equal(t, "v2", blob.KeyInfo.KeyId)
	})
}

func TestSigstoreSignsWithIt(t *testing.T) {
	onBoth(t, func(t *testing.T, mount string) {
		t.Setenv("TRANSIT_SECRET_ENGINE_PATH", mount)
		for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048", "rsa-3072", "rsa-4096"} {
			t.Run(algorithm, func(t *testing.T) { sigstoreSigns(t, mount, algorithm) })
		}
	})
}

// verifiers are Vault and the public key alone. On either engine, sigstore has Vault verify signatures of RSA keys by another padding
// than it has them made by, and those of Ed25519 keys made of a digest, which no other verifier expects.
func verifiers(vault, here sigstore.Verifier, algorithm string) []sigstore.Verifier {
	switch {
	case strings.HasPrefix(algorithm, "rsa-"):
		return []sigstore.Verifier{here}
	case algorithm == "ed25519":
		return []sigstore.Verifier{vault}
	default:
		return []sigstore.Verifier{vault, here}
	}
}

func sigstoreSigns(t *testing.T, mount, algorithm string) {
	t.Helper()
	name := "sigstore-" + algorithm
	signer, err := hashivault.LoadSignerVerifier("hashivault://"+name, crypto.SHA256)
	require.NoError(t, err)
	made, err := signer.CreateKey(t.Context(), algorithm)
	require.NoError(t, err)
	public, err := signer.PublicKey()
	require.NoError(t, err)
	require.Equal(t, made, public)
	signature, err := signer.SignMessage(strings.NewReader("an artifact"))
	require.NoError(t, err)
	here, err := sigstore.LoadVerifier(public, crypto.SHA256)
	require.NoError(t, err)
	for _, verifier := range verifiers(signer, here, algorithm) {
		require.NoError(t, verifier.VerifySignature(bytes.NewReader(signature), strings.NewReader("an artifact")))
		require.Error(t, verifier.VerifySignature(bytes.NewReader(signature), strings.NewReader("another artifact")))
	}

	server.Must(t, http.MethodPost, mount+"/keys/"+name+"/rotate", map[string]any{})
	fresh, err := hashivault.LoadSignerVerifier("hashivault://"+name, crypto.SHA256)
	require.NoError(t, err)
	next, err := fresh.PublicKey()
	require.NoError(t, err)
	require.NotEqual(t, public, next)
}
