// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// residents are the ids of the keys on the token that are versions, those of another mount among them. A pair has both halves there,
// or none.
func (w *world) residents() (ids []string) {
	w.T.Helper()
	private := w.objects(cryptoki.ClassPrivateKey)
	require.Equal(w.T, private, w.objects(cryptoki.ClassPublicKey), "half a pair")
	ids = append(w.objects(cryptoki.ClassSecretKey), private...)
	slices.Sort(ids)
	return ids
}

// objects are the ids of the objects of a class that are of versions.
func (w *world) objects(class uint) (ids []string) {
	w.T.Helper()
	l := faketoken.NewLibrary(w.device)
	s, err := l.Open(0)
	require.NoError(w.T, err)
	require.NoError(w.T, s.Login([]byte(pin)))
	all, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrClass, Value: class}})
	require.NoError(w.T, err)
	for _, o := range all {
		values, err := s.Attributes(o, cryptoki.AttrLabel, cryptoki.AttrID)
		require.NoError(w.T, err)
		if strings.Contains(string(values[0]), "-k-") {
			ids = append(ids, hex.EncodeToString(values[1]))
		}
	}
	require.NoError(w.T, l.Close())
	slices.Sort(ids)
	return ids
}

// known are the ids that stored versions have.
func (w *world) known() (ids []string) {
	w.T.Helper()
	for path := range w.Storage.All() {
		if strings.HasPrefix(path, "versions/") {
			if id := w.objectOf(path); id != "" {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *world) objectOf(path string) string {
	w.T.Helper()
	var rec struct{ Object string }
	require.NoError(w.T, json.Unmarshal(w.Storage.All()[path], &rec))
	return rec.Object
}

// checkResidents holds what is on the token to what is stored, at rest.
func (w *world) checkResidents() {
	w.T.Helper()
	require.Equal(w.T, w.known(), w.residents(), "keys on the token that nobody knows, or that are missing")
	for path := range w.Storage.All() {
		require.False(w.T, strings.HasPrefix(path, "intents/objects/"), path)
	}
}

// calls counts what the token encrypts, decrypts and signs.
func (w *world) calls(do func()) int {
	w.T.Helper()
	count := func() int {
		return w.library.Calls(faketoken.Encrypt) + w.library.Calls(faketoken.Decrypt) + w.library.Calls(faketoken.Sign)
	}
	before := count()
	do()
	return count() - before
}

func TestAKeyOnTheTokenNeverLeavesIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		shown := w.Must(w.Write("keys/k", "protection", "hsm")).Data
		require.Equal(t, "hsm", shown["protection"])
		require.Equal(t, "hsm", w.Must(w.Read("keys/k")).Data["protection"])
		w.Must(w.Write("keys/wrapped"))
		require.Equal(t, "hsm_wrapped", w.Must(w.Read("keys/wrapped")).Data["protection"])
		require.Equal(t, "hsm_wrapped", w.Must(w.Read("keys/wrapped/versions/1")).Data["protection"])
		first := w.Encrypt("k", "first")
		w.Must(w.Write("keys/k/rotate"))
		second := w.Encrypt("k", "second")
		require.Equal(t, "hsm", w.Must(w.Read("keys/k/versions/1")).Data["protection"])
		prints := map[any]bool{}
		for n := 1; n <= 2; n++ {
			prints[w.Must(w.Read(fmt.Sprintf("keys/k/versions/%d", n))).Data["fingerprint"]] = true
		}
		require.Len(t, prints, 2)
		require.Len(t, w.residents(), 2)
		w.checkResidents()
		w.respawn()
		require.Equal(t, "first", w.Decrypt("k", first))
		require.Equal(t, "second", w.Decrypt("k", second))
		moved := w.Must(w.Write("rewrap/k", "ciphertext", first)).Data["ciphertext"].(string)
		require.True(t, strings.HasPrefix(moved, "vault:v2:"))
		require.Equal(t, "first", w.Decrypt("k", moved))
		datakey := w.Must(w.Write("datakey/wrapped/k")).Data["ciphertext"].(string)
		require.Len(t, w.Decrypt("k", datakey), 32)
		w.Refused(w.Write("encrypt/k", "plaintext", mounttest.B64("x"), "nonce", mounttest.B64("123456789012")), "nonce")
		w.Refused(w.Write("encrypt/k", "plaintext", mounttest.B64(strings.Repeat("x", 64<<10+1))), "plaintext", "65537", "65536")
		w.Refused(w.Write("decrypt/k", "ciphertext", second[:len(second)-8]+"AAAAAAA="), "authentication")
	})
}

func TestAKeyOnTheTokenAsksItOnceForEachText(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/wrapped"))
		ciphertext, wrapped := w.Encrypt("k", "x"), w.Encrypt("wrapped", "x")
		require.Equal(t, 1, w.calls(func() { w.Encrypt("k", "y") }))
		require.Equal(t, 1, w.calls(func() { w.Decrypt("k", ciphertext) }))
		require.Equal(t, 2, w.calls(func() { w.Must(w.Write("rewrap/k", "ciphertext", ciphertext)) }))
		require.Zero(t, w.calls(func() { w.Decrypt("wrapped", wrapped); w.Encrypt("wrapped", "y") }))
		batch := []any{}
		for range 5 {
			batch = append(batch, map[string]any{"plaintext": mounttest.B64("x")})
		}
		require.Equal(t, 5, w.calls(func() { w.Must(w.Write("encrypt/k", "batch_input", batch)) }))
		mixed := []any{map[string]any{"ciphertext": ciphertext}, map[string]any{"ciphertext": "vault:v1:" + mounttest.B64(strings.Repeat("x", 40))}}
		answer := w.Write("decrypt/k", "batch_input", mixed)
		require.Equal(t, http.StatusBadRequest, answer.Status)
	})
}

func TestWhatAKeyOnTheTokenCannotBeIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Refused(w.Write("keys/k", "protection", "hsm"), `protection: "hsm"`, "no HSM is configured")
		require.Empty(t, w.Storage.All(), "nothing is written")
		w.configure()
		before := w.onToken()
		for _, c := range []struct {
			kv    []any
			field string
		}{
			{[]any{"protection", "software"}, `protection: "software": must be hsm`},
			{[]any{"protection", "HSM"}, `protection: "HSM"`},
			{[]any{"protection", "hsm", "type", "aes128-gcm96"}, `type: "aes128-gcm96"`},
			{[]any{"protection", "hsm", "type", "chacha20-poly1305"}, `type: "chacha20-poly1305"`},
			{[]any{"protection", "hsm", "derived", true}, "derived: true"},
			{[]any{"protection", "hsm", "derived", true, "convergent_encryption", true}, "derived: true"},
			{[]any{"protection", "hsm", "exportable", true}, "exportable: true"},
			{[]any{"protection", "hsm", "allow_plaintext_backup", true}, "allow_plaintext_backup: true"},
		} {
			w.Refused(w.Write("keys/k", c.kv...), c.field)
			require.Equal(t, http.StatusNotFound, w.Read("keys/k").Status)
		}
		require.Equal(t, before, w.onToken())
		w.Must(w.Write("keys/k", "protection", "hsm"))
		for _, field := range []string{"exportable", "allow_plaintext_backup"} {
			w.Refused(w.Write("keys/k/config", field, true), field+": true", "does not give it out")
			require.Equal(t, false, w.Must(w.Read("keys/k")).Data[field])
		}
		w.Must(w.Write("keys/k/config", "deletion_allowed", true))
		w.Refused(w.Write("config/hsm", "enabled", false), "1 keys have protection=hsm")
		w.Refused(w.Delete("config/hsm"), "1 keys have protection=hsm")
		w.Must(w.Delete("keys/k"))
		w.checkResidents()
		require.Empty(t, w.residents())
		w.Must(w.Write("config/hsm", "enabled", false))
		w.Refused(w.Write("keys/k", "protection", "hsm"), `protection: "hsm"`, "not enabled")
	})
}

func TestASuiteWithoutGCMHoldsNoKeys(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("mechanism", "aes-cbc-hmac")
		w.Refused(w.Write("keys/k", "protection", "hsm"), `protection: "hsm"`, "AES-GCM")
		require.Empty(t, w.residents())
	})
}

func TestATokenThatIsAwayIsNoFaultOfTheCaller(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", "0s"))
		w.Must(w.Write("keys/k", "protection", "hsm", "policy", "p"))
		ciphertext := w.Encrypt("k", "x")
		w.device.Vanish()
		for range 3 {
			require.Equal(t, http.StatusServiceUnavailable, w.Write("encrypt/k", "plaintext", mounttest.B64("x")).Status)
			require.Equal(t, http.StatusServiceUnavailable, w.Write("decrypt/k", "ciphertext", ciphertext).Status)
		}
		require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/other", "protection", "hsm").Status)
		w.hours(25)
		require.Equal(t, 1, w.Latest("k"))
		require.Zero(t, w.Storage.Key("k").Rotation.Failures)
		w.device.Return()
		time.Sleep(time.Minute)
		w.Advance(time.Hour)
		require.Equal(t, 2, w.Latest("k"), "it catches up")
		require.Equal(t, "x", w.Decrypt("k", ciphertext))
		w.Advance(10 * time.Minute)
		w.checkResidents()
	})
}

func TestAKeyOnTheTokenOutlivesAChangeOfTheConfiguration(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		ciphertext := w.Encrypt("k", "x")
		w.configure("max_sessions", 3)
		require.Equal(t, "x", w.Decrypt("k", ciphertext))
		w.Must(w.Write("hsm/keks/rotate"))
		w.sweep()
		require.Equal(t, w.active("use"), hexOf(w.kekOf("versions/k/1")), "what refers to it is wrapped anew")
		w.respawn()
		require.Equal(t, "x", w.Decrypt("k", ciphertext))
		w.checkResidents()
	})
}

func TestAVersionOnTheTokenIsArchivedAndDestroyed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("policies/p", "owner", "o", "hsm", "required", "quiet_period", "0", "min_versions_kept", 1, "destroy_delay", "24h"))
		w.Must(w.Write("keys/k", "protection", "hsm", "policy", "p"))
		ciphertext := w.Encrypt("k", "x")
		w.Must(w.Write("keys/k/rotate", "reason", "as the test wants it"))
		w.Must(w.Write("keys/k/versions/1/archive", "reason", "as the test wants it"))
		w.respawn()
		w.Refused(w.Write("decrypt/k", "ciphertext", ciphertext), "archived")
		w.Must(w.Write("keys/k/versions/1/recover", "reason", "as the test wants it"))
		require.Equal(t, "x", w.Decrypt("k", ciphertext))
		w.Must(w.Write("keys/k/versions/1/archive", "reason", "as the test wants it"))
		w.Must(w.Write("keys/k/versions/1/retire", "reason", "as the test wants it"))
		w.hours(23)
		require.Len(t, w.residents(), 2)
		w.device.Vanish()
		w.hours(2)
		read := w.Must(w.Read("keys/k/versions/1")).Data
		require.Equal(t, "destroyed", read["state"])
		require.Equal(t, true, read["material_pending"])
		w.device.Return()
		time.Sleep(time.Minute)
		w.Advance(10 * time.Minute)
		require.Len(t, w.residents(), 1)
		read = w.Must(w.Read("keys/k/versions/1")).Data
		require.Equal(t, false, read["material_pending"])
		require.Equal(t, "", read["protection"])
		w.checkResidents()
		require.Equal(t, "y", w.Decrypt("k", w.Encrypt("k", "y")))
		require.Equal(t, true, w.Must(w.Write("custody/verify")).Data["valid"])
	})
}

func TestADeletedKeyLeavesTheTokenWhenThatIsBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "deletion_allowed", true))
		w.device.Vanish()
		w.Must(w.Delete("keys/k"))
		w.Refused(w.Write("config/hsm", "enabled", false), "2 keys on the token have still to be destroyed")
		w.device.Return()
		time.Sleep(time.Minute)
		require.Len(t, w.residents(), 2)
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Advance(10 * time.Minute)
		require.Len(t, w.residents(), 1)
		w.checkResidents()
	})
}

func TestAnObjectThatIsGoneAlreadyIsDestroyed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
		w.remove(w.objectOf("versions/k/1"))
		w.Must(w.Write("keys/k/trim", "min_available_version", 2))
		w.Advance(2 * time.Minute)
		w.checkResidents()
		require.Len(t, w.residents(), 1)
	})
}

// remove destroys a key on the token, as its own tools do.
func (w *world) remove(id string) {
	w.T.Helper()
	raw, err := hex.DecodeString(id)
	require.NoError(w.T, err)
	l := faketoken.NewLibrary(w.device)
	s, err := l.Open(0)
	require.NoError(w.T, err)
	require.NoError(w.T, s.Login([]byte(pin)))
	found, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrID, Value: raw}})
	require.NoError(w.T, err)
	require.Len(w.T, found, 1)
	require.NoError(w.T, s.Destroy(found[0]))
	require.NoError(w.T, l.Close())
}
