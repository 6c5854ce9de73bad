// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package transitformat_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/transitformat"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// types are all that both engines have, with a derived and a convergent one.
var types = []lifecycle.Key{
	{Type: keytype.AES128GCM96},
	{Type: keytype.AES256GCM96},
	{Type: keytype.AES256GCM96, Derived: true},
	{Type: keytype.AES256GCM96, Derived: true, Convergent: true},
	{Type: keytype.ChaCha20Poly1305},
	{Type: keytype.Ed25519},
	{Type: keytype.Ed25519, Derived: true},
	{Type: keytype.ECDSAP256},
	{Type: keytype.ECDSAP384},
	{Type: keytype.ECDSAP521},
	{Type: keytype.RSA2048},
	{Type: keytype.HMAC, Size: 48},
	{Type: keytype.AES128CMAC},
	{Type: keytype.AES192CMAC},
	{Type: keytype.AES256CMAC},
}

// ownTypes are those that Transit has not.
var ownTypes = []lifecycle.Key{
	{Type: keytype.XChaCha20Poly1305},
	{Type: keytype.XChaCha20Poly1305, Derived: true},
	{Type: keytype.MLDSA44},
	{Type: keytype.MLDSA65},
	{Type: keytype.MLDSA87},
}

// made is a key of so many versions.
func made(t testing.TB, spec lifecycle.Key, versions int) transitformat.Backup {
	t.Helper()
	k := spec
	k.Name, k.Exportable, k.AllowPlaintextBackup = "orders", true, true
	k.Latest, k.Primary, k.MinDecryption = versions, versions, 1
	b := transitformat.Backup{Key: k, Versions: map[int]transitformat.Version{}}
	for n := 1; n <= versions; n++ {
		m, err := envelope.Generate(envelope.Spec{Algorithm: envelope.Algorithm(k.Type), Size: k.Size}, rand.Reader)
		require.NoError(t, err)
		b.Versions[n] = transitformat.Version{Created: start.Add(time.Duration(n) * time.Hour), Material: m}
	}
	return b
}

func written(t testing.TB, b transitformat.Backup) string {
	t.Helper()
	text, err := b.Write(start)
	require.NoError(t, err)
	return text
}

// requireSame compares material, which shows itself to nobody.
func requireSame(t *testing.T, want, got transitformat.Backup) {
	t.Helper()
	require.Len(t, got.Versions, len(want.Versions))
	for n, v := range want.Versions {
		require.True(t, v.Material.Equal(got.Versions[n].Material), "version %d", n)
		require.Equal(t, v.Created, got.Versions[n].Created)
	}
}

func TestABackupReadsAsItWasWritten(t *testing.T) {
	for _, spec := range slices.Concat(types, ownTypes) {
		t.Run(fmt.Sprint(spec.Type, spec.Derived, spec.Convergent), func(t *testing.T) {
			b := made(t, spec, 4)
			b.Key.MinDecryption, b.Key.MinEncryption, b.Key.AutoRotatePeriod, b.Key.DeletionAllowed = 2, 3, 24*time.Hour, true
			got, err := transitformat.Read(written(t, b), rand.Reader)
			require.NoError(t, err)
			requireSame(t, b, got)
			got.Key.Overrides = nil
			require.Equal(t, b.Key, got.Key)
		})
	}
}

// TestKeysutilTakesOurBackup has the library that Transit is made of restore what we write, and raise and lower the floor, which goes
// over the archive.
func TestKeysutilTakesOurBackup(t *testing.T) {
	for _, spec := range types {
		for _, trimmed := range []int{0, 2} {
			b := made(t, spec, 4)
			b.Key.MinAvailable, b.Key.MinDecryption, b.Key.MinEncryption = trimmed, 3, 3
			delete(b.Versions, trimmed-1)
			storage := &logical.InmemStorage{}
			manager, err := keysutil.NewLockManager(true, 0)
			require.NoError(t, err)
			_, err = manager.RestorePolicy(t.Context(), storage, "", written(t, b), false)
			require.NoError(t, err)
			p := policyIn(t, manager, storage)
			require.Len(t, p.Keys, 2)
			lowest := max(trimmed, 1)
			p.MinDecryptionVersion = lowest
			require.NoError(t, p.Persist(t.Context(), storage))
			p = policyIn(t, manager, storage)
			require.Len(t, p.Keys, 4-lowest+1)
			for n := lowest; n <= 4; n++ {
				want, err := envelope.Algorithm(spec.Type).Entry(b.Versions[n].Material)
				require.NoError(t, err)
				got := p.Keys[strconv.Itoa(n)]
				require.Equal(t, want.Key, got.Key)
				require.Equal(t, want.HMACKey, got.HMACKey)
				require.Equal(t, want.EC_D, got.EC_D)
			}
		}
	}
}

// TestTransitRefusesByNameWhatItHasNot: it takes any number for a type, and would have a key that does nothing.
func TestTransitRefusesByNameWhatItHasNot(t *testing.T) {
	for _, spec := range ownTypes {
		storage := &logical.InmemStorage{}
		manager, err := keysutil.NewLockManager(true, 0)
		require.NoError(t, err)
		_, err = manager.RestorePolicy(t.Context(), storage, "", written(t, made(t, spec, 2)), false)
		require.ErrorContains(t, err, "cannot unmarshal string into Go struct field")
		require.ErrorContains(t, err, "policy.type")
		stored, err := storage.List(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, stored)
	}
}

func policyIn(t *testing.T, manager *keysutil.LockManager, storage logical.Storage) *keysutil.Policy {
	t.Helper()
	p, _, err := manager.GetPolicy(context.Background(), keysutil.PolicyRequest{Storage: storage, Name: "orders"}, rand.Reader)
	require.NoError(t, err)
	require.NotNil(t, p)
	return p
}

// TestWhatTransitDoesNotKnowComesBack: states, names and the hold.
func TestWhatTransitDoesNotKnowComesBack(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.Ed25519, Policy: "pci", Owner: "payments", Labels: map[string]string{"env": "prod"}, Hold: true}, 6)
	report := lifecycle.Compromise{Code: "key_compromise", Occurred: start, Reported: start.Add(time.Hour)}
	b.Key.Primary, b.Key.Staged = 5, 6
	b.Key.Overrides = lifecycle.Overrides{
		1: {State: lifecycle.Destroyed, At: start},
		2: {State: lifecycle.Compromised, At: start, Compromise: report, Locked: true},
		3: {State: lifecycle.Retired, At: start, Before: lifecycle.Archived, DestroyAt: start.Add(time.Hour)},
		4: {State: lifecycle.Suspended, At: start},
	}
	public := b.Versions[1].Material.Public()
	b.Versions[1] = transitformat.Version{Created: b.Versions[1].Created, Material: envelope.NewKeyPair(nil, public, nil)}
	got, err := transitformat.Read(written(t, b), rand.Reader)
	require.NoError(t, err)
	b.Key.Overrides[3] = lifecycle.StateOverride{State: lifecycle.Archived, At: start}
	require.Equal(t, b.Key, got.Key)
	require.Equal(t, public, got.Versions[1].Material.Public())
}

// edited changes the JSON of a backup.
func edited(t testing.TB, text string, edit func(all, policy map[string]any)) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	var all map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&all))
	policy, _ := all["policy"].(map[string]any)
	edit(all, policy)
	data, err = json.Marshal(all)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(data)
}

func set(name string, value any) func(all, policy map[string]any) {
	return func(_, policy map[string]any) { policy[name] = value }
}

func inVersion(name string, value any) func(all, policy map[string]any) {
	return func(_, policy map[string]any) {
		policy["keys"].(map[string]any)["2"].(map[string]any)[name] = value
	}
}

func ours(edit func(ours map[string]any)) func(all, policy map[string]any) {
	return func(all, _ map[string]any) { edit(all["keylife"].(map[string]any)) }
}

func TestABackupThatIsNoneIsRefusedByName(t *testing.T) {
	texts := map[string]string{}
	for name, spec := range map[string]lifecycle.Key{
		"aes": {Type: keytype.AES256GCM96}, "convergent": {Type: keytype.AES256GCM96, Derived: true, Convergent: true},
		"ec": {Type: keytype.ECDSAP256}, "ed": {Type: keytype.Ed25519}, "rsa": {Type: keytype.RSA2048}, "hmac": {Type: keytype.HMAC, Size: 48},
	} {
		texts[name] = written(t, made(t, spec, 3))
	}
	number := func(digits string) json.Number { return json.Number(digits) }
	for _, c := range []struct {
		of   string
		edit func(all, policy map[string]any)
		text string
	}{
		{"aes", set("type", 99), "unknown key type"},
		{"aes", set("type", 10), "unknown key type"},
		{"aes", set("type", 1), "version "},
		{"aes", set("type", "aes512"), "unknown key type"},
		{"aes", set("type", "ed25519"), "ed25519"},
		{"aes", set("type", -1), "unknown key type"},
		{"aes", set("latest_version", -1), "latest version of -1"},
		{"aes", set("latest_version", 1<<30), "latest version of 1073741824"},
		{"aes", set("latest_version", 4), "version 4 is not in it"},
		{"aes", set("min_decryption_version", 0), "minimum decryption version of 0 is less than 1"},
		{"aes", set("min_decryption_version", 9), "must not be greater than the latest version"},
		{"aes", set("min_encryption_version", -1), "nor negative"},
		{"aes", set("min_available_version", 2), "is greater than minimum decryption version"},
		{"aes", set("derived", true), "kdf: 0"},
		{"aes", set("version_template", "x{{version}}:"), "version_template"},
		{"aes", set("name", 1), "policy.name: has a value of the wrong type"},
		{"aes", inVersion("key", nil), "version 2: key of 0 bytes"},
		{"aes", inVersion("key", "QUJD"), "version 2: key of 3 bytes"},
		{"aes", inVersion("hmac_key", "QUJD"), "version 2: hmac_key of 3 bytes"},
		{"aes", inVersion("key", base64.StdEncoding.EncodeToString(make([]byte, 32))), "the fingerprint of the key is another"},
		{"aes", ours(func(o map[string]any) { o["format"] = 2 }), "keylife.format: 2"},
		{"aes", ours(func(o map[string]any) { o["allowed_uses"] = []string{"sing"} }), "keylife.allowed_uses"},
		{"aes", ours(func(o map[string]any) { o["versions"].(map[string]any)["7"] = map[string]any{} }), "keylife.versions.7"},
		{"aes", ours(func(o map[string]any) { o["versions"].(map[string]any)["1"] = map[string]any{"state": "active"} }), "keylife.versions.1"},
		{"aes", ours(func(o map[string]any) { o["versions"].(map[string]any)["1"] = map[string]any{"state": "compromised"} }), "reported"},
		{"convergent", inVersion("convergent_version", 2), "version 2: convergent_version is 2"},
		{"hmac", set("key_size", 32), "key_size is 32"},
		{"ec", inVersion("ec_x", number("1")), "version 2: the numbers are not those of a key of type ecdsa-p256"},
		{"ec", inVersion("ec_x", number("-1")), "the numbers are not"},
		{"ec", inVersion("ec_x", nil), "the numbers are not"},
		{"ec", inVersion("ec_d", number("1")), "the numbers are not"},
		{"ec", inVersion("ec_d", number("0")), "the numbers are not"},
		{"ec", inVersion("ec_d", number("-5")), "the numbers are not"},
		{"ec", inVersion("ec_d", "secret digits"), "is not the JSON of a backup"},
		{"ec", set("type", 6), "ecdsa-p384"},
		{"ed", inVersion("key", "QUJD"), "ed25519"},
		{"ed", inVersion("key", base64.StdEncoding.EncodeToString(make([]byte, 64))), "ed25519"},
		{"rsa", set("type", 4), "rsa-4096"},
		{"rsa", inVersion("rsa_key", map[string]any{}), "rsa-2048"},
		{"rsa", inVersion("rsa_key", map[string]any{"N": number("15"), "E": 3, "D": number("3"), "Primes": []any{number("3"), number("5")}}), "rsa-2048"},
		{"rsa", func(_, p map[string]any) {
			key := p["keys"].(map[string]any)["2"].(map[string]any)["rsa_key"].(map[string]any)
			key["D"] = number("7")
		}, "rsa-2048"},
		{"rsa", func(_, p map[string]any) {
			key := p["keys"].(map[string]any)["2"].(map[string]any)["rsa_key"].(map[string]any)
			key["Primes"] = []any{key["N"], number("1")}
		}, "rsa-2048"},
		{"rsa", func(_, p map[string]any) {
			entry := p["keys"].(map[string]any)["2"].(map[string]any)
			entry["rsa_key"], entry["rsa_public_key"] = nil, map[string]any{"E": 65537}
		}, "rsa-2048"},
	} {
		t.Run(c.of+" "+c.text, func(t *testing.T) {
			_, err := transitformat.Read(edited(t, texts[c.of], c.edit), rand.Reader)
			require.ErrorIs(t, err, refusal.ErrInvalid)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "secret digits")
		})
	}
}

func TestWhatIsNoJSONIsAFaultAsInTransit(t *testing.T) {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for text, want := range map[string]string{
		"!!!": "illegal base64 data", encode("{"): "is not the JSON", encode("{]"): "is no JSON at byte 2", encode("[]"): "wrong type",
		encode(`{"policy":{}}`): "minimum decryption version of 0 is less than 1", encode(`{"policy":{"keys":[]}}`): "policy.keys", encode(""): "is not the JSON",
	} {
		_, err := transitformat.Read(text, rand.Reader)
		require.ErrorIs(t, err, refusal.ErrAsFault, text)
		require.ErrorContains(t, err, want)
	}
}

// Transit panics of it.
func TestJSONWithoutAKeyIsRefused(t *testing.T) {
	for _, text := range []string{"{}", "null", `{"policy":null}`} {
		_, err := transitformat.Read(base64.StdEncoding.EncodeToString([]byte(text)), rand.Reader)
		require.ErrorIs(t, err, refusal.ErrInvalid, text)
		require.NotErrorIs(t, err, refusal.ErrAsFault, text)
		require.ErrorContains(t, err, "does not contain a valid policy")
	}
}

func TestABackupOfTransitAloneIsRead(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.AES256GCM96}, 3)
	for name, edit := range map[string]func(all, policy map[string]any){
		"without our member": func(all, _ map[string]any) { delete(all, "keylife") },
		"without an archive": func(all, _ map[string]any) { delete(all, "keylife"); delete(all, "archived_keys") },
		"with what a later release adds": func(all, p map[string]any) {
			all["more"], p["more"] = 1, map[string]any{"a": 1}
		},
		"of an old Vault": func(_, p map[string]any) { p["latest_version"], p["archive_version"] = 0, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := transitformat.Read(edited(t, written(t, b), edit), rand.Reader)
			require.NoError(t, err)
			requireSame(t, b, got)
			require.Equal(t, 3, got.Key.Primary)
		})
	}
	got, err := transitformat.Read(edited(t, written(t, b), inVersion("hmac_key", nil)), rand.Reader)
	require.NoError(t, err)
	_, drawn := got.Versions[2].Material.Reveal()
	require.Len(t, drawn, 32, "Transit, too, draws what a version of an old Vault lacks")
}

func FuzzRead(f *testing.F) {
	for _, spec := range []lifecycle.Key{{Type: keytype.AES256GCM96}, {Type: keytype.ECDSAP256}, {Type: keytype.Ed25519}, {Type: keytype.MLDSA44}, {Type: keytype.AES128CMAC}} {
		data, err := base64.StdEncoding.DecodeString(written(f, made(f, spec, 2)))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := transitformat.Read(base64.StdEncoding.EncodeToString(data), rand.Reader)
		if err != nil {
			require.ErrorIs(t, err, refusal.ErrInvalid)
			return
		}
		if again, err := b.Write(start); err == nil {
			_, err = transitformat.Read(again, rand.Reader)
			require.NoError(t, err)
		}
	})
}

// TestABackupOfManyTypesIsForUs: Transit has one type a key, and refuses it rather than restore versions that open nothing.
func TestABackupOfManyTypesIsForUs(t *testing.T) {
	b := made(t, lifecycle.Key{Type: keytype.AES256GCM96}, 3)
	b.Key.EarlierTypes = []lifecycle.TypeUntil{{Until: 2, Type: keytype.AES128GCM96}}
	for n := 1; n <= 2; n++ {
		m, err := envelope.Generate(envelope.Spec{Algorithm: envelope.AES128GCM96}, rand.Reader)
		require.NoError(t, err)
		b.Versions[n] = transitformat.Version{Created: b.Versions[n].Created, Material: m}
	}
	text := written(t, b)
	got, err := transitformat.Read(text, rand.Reader)
	require.NoError(t, err)
	requireSame(t, b, got)
	require.Equal(t, b.Key.EarlierTypes, got.Key.EarlierTypes)

	manager, err := keysutil.NewLockManager(true, 0)
	require.NoError(t, err)
	storage := &logical.InmemStorage{}
	_, err = manager.RestorePolicy(t.Context(), storage, "", text, false)
	require.ErrorContains(t, err, "valid policy")
	left, err := storage.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, left)

	b.Key.MinAvailable, b.Key.MinDecryption = 3, 3 // those of the other type are trimmed
	_, err = manager.RestorePolicy(t.Context(), storage, "", written(t, b), false)
	require.NoError(t, err)
}
