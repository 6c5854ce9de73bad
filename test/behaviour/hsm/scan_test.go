// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// seed is that of a signing key which an earlier release stored as it is.
var seed = []byte("the seed of an earlier release!!")

// plantSigningKey stores it.
func (w *world) plantSigningKey() {
	w.T.Helper()
	key, err := custody.NewSigningKey(bytes.NewReader(seed), mounttest.Start, 1, nil)
	require.NoError(w.T, err)
	record, err := json.Marshal(map[string]any{"schema": 1, "keys": []any{map[string]any{"public": key.Public(), "seed": seed}}})
	require.NoError(w.T, err)
	w.Storage.Plant("config/custody", record)
}

// softwareOpens lists the entries that hold what software can open: the seed, a key of the software's, or anything that
// names one as what wraps it. The entries of these keys themselves are left out.
func (w *world) softwareOpens() (paths []string) {
	w.T.Helper()
	telltale := [][]byte{seed}
	own := []string{"config/kek", "config/archive-kek"}
	for _, path := range own {
		var rec struct{ ID, Key []byte }
		require.NoError(w.T, json.Unmarshal(w.Storage.All()[path], &rec))
		require.Len(w.T, rec.Key, 32)
		telltale = append(telltale, rec.ID, rec.Key)
	}
	for path, value := range w.Storage.All() {
		if slices.Contains(own, path) {
			continue
		}
		var record any
		require.NoError(w.T, json.Unmarshal(value, &record), path)
		for _, text := range append(texts(record), string(value)) {
			raw, _ := base64.StdEncoding.DecodeString(text)
			if slices.ContainsFunc(telltale, func(t []byte) bool {
				return bytes.Contains(raw, t) || strings.Contains(text, string(t)) || strings.Contains(text, fmt.Sprintf("%x", t))
			}) {
				paths = append(paths, path)
				break
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// texts returns all texts in a record, however deep.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			all = append(all, texts(one)...)
		}
	case map[string]any:
		for _, one := range v {
			all = append(all, texts(one)...)
		}
	}
	return all
}

// laden is a mount with all kinds of material, of before it had an HSM.
func (w *world) laden() {
	w.T.Helper()
	w.plantSigningKey()
	w.Must(w.Write("policies/p", "owner", "o", "min_versions_kept", 1))
	w.Must(w.Write("keys/k", "policy", "p"))
	w.Must(w.Write("keys/k/rotate", "reason", "because of a test"))
	w.Must(w.Write("keys/k/versions/1/archive", "reason", "because of a test"))
	w.Must(w.Write("custody/rotate-key"))
}

func TestOnceAllIsWrappedAnewNoEntryHoldsWhatSoftwareOpens(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.laden()
		before := w.checkpoint()
		w.configure("kek_min_age", "0s")
		w.Must(w.Write("keys/new"))
		require.Equal(t, []string{"archive/k/1", "config/custody", "versions/k/2"}, w.softwareOpens())
		w.sweep()
		require.Empty(t, w.softwareOpens())
		require.Equal(t, true, w.Must(w.Write("custody/verify", "checkpoint", before)).Data["valid"])
		w.respawn()
		require.Equal(t, true, w.Must(w.Write("custody/verify", "checkpoint", w.checkpoint())).Data["valid"])

		w.device.Vanish()
		w.respawn()
		require.Equal(t, http.StatusServiceUnavailable, w.Write("custody/checkpoint").Status)
		require.Equal(t, http.StatusServiceUnavailable, w.Write("custody/rotate-key").Status)
		w.Must(w.Read("custody/public-key"))
		w.Must(w.Write("custody/verify", "checkpoint", before))
		w.Must(w.Write("keys/k/config", "deletion_allowed", true))
		w.Must(w.Write("policies/q", "owner", "o"))
		w.device.Return()
		time.Sleep(time.Minute) // of the bubble: the pause between recoveries
		w.checkpoint()

		first := w.active(envelope.PurposeOnline)
		w.Must(w.Write("keys/new/config", "deletion_allowed", true))
		w.Must(w.Delete("keys/new"))
		w.Must(w.Write("config/hsm", "enabled", false))
		w.sweep()
		w.Must(w.Write("hsm/keks/" + first + "/retire"))
		require.Contains(t, w.softwareOpens(), "config/custody")
		w.device.Vanish()
		w.respawn()
		require.Equal(t, true, w.Must(w.Write("custody/verify", "checkpoint", w.checkpoint())).Data["valid"])
	})
}

// checkpoint returns one that is signed now.
func (w *world) checkpoint() any {
	w.T.Helper()
	signed := w.Must(w.Write("custody/checkpoint")).Data
	return map[string]any{"payload": signed["payload"], "key_id": signed["key_id"], "signature": signed["signature"]}
}

func TestASigningKeyIsAReferenceToWhatWrapsIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("custody/rotate-key"))
		first := w.active(envelope.PurposeOnline)
		w.Must(w.Write("hsm/keks/rotate"))
		w.Refused(w.Write("hsm/keks/"+first+"/retire"), "1 stored entries are wrapped by key")
		w.sweep()
		w.Must(w.Write("hsm/keks/" + first + "/retire"))
		w.checkpoint()
	})
}

// TestASweepSurvivesACrashAtEveryWrite moves a mount to an HSM, with each write of that lost or applied and reported failed.
func TestASweepSurvivesACrashAtEveryWrite(t *testing.T) {
	cases := 0
	writes := 0
	move := func(w *world, fault, heal func()) {
		w.laden()
		w.configure()
		fault()
		_ = w.Tick()
		w.Clock.Add(6 * time.Minute)
		_ = w.Tick()
		heal()
		w.recover()
		w.sweep()
		w.checkKEKs()
		require.Empty(w.T, w.softwareOpens())
		require.Equal(w.T, true, w.Must(w.Write("custody/verify", "checkpoint", w.checkpoint())).Data["valid"])
		w.Must(w.Write("keys/k/versions/1/recover", "reason", "because of a test"))
		w.Encrypt("k", "x")
	}
	run(t, func(_ *testing.T, w *world) {
		move(w, func() { w.Storage.Reset() }, func() { writes = w.Storage.Reset().Writes() })
	})
	require.NotZero(t, writes)
	for _, fate := range storagetest.Fates() {
		for at := 1; at <= writes; at++ {
			if cases++; racetest.Spared(t, cases) {
				continue
			}
			t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
				run(t, func(_ *testing.T, w *world) {
					move(w, func() { w.Storage.FailWriteAs(at, fate) }, w.Storage.Heal)
				})
			})
		}
	}
}
