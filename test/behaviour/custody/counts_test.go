// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// TestReadingAVersionIsFourGets is about a mount whose caches are warm, whatever the state of the version.
func TestReadingAVersionIsFourGets(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(m *mounttest.Mount){
		"active":      func(m *mounttest.Mount) {},
		"deactivated": func(m *mounttest.Mount) { m.K.Ops("rotate") },
		"staged":      func(m *mounttest.Mount) { m.Must(m.K.Op("rotate", "stage", true)) },
		"archived":    func(m *mounttest.Mount) { m.K.Ops("rotate", "versions/3/archive") },
		"archived by the floor": func(m *mounttest.Mount) {
			m.K.Ops("rotate")
			m.Must(m.Write("keys/k/config", "min_decryption_version", 4))
		},
		"compromised":              func(m *mounttest.Mount) { m.K.Ops("versions/3/compromise") },
		"destroyed":                func(m *mounttest.Mount) { m.K.Ops("rotate", "versions/3/archive", "versions/3/retire", "31d") },
		"of a key that is stopped": func(m *mounttest.Mount) { m.K.Ops("suspend") },
		"of a key that is gone":    func(m *mounttest.Mount) { m.K.Ops("archive", "retire", "31d") },
		"long ago": func(m *mounttest.Mount) {
			for i := range 300 {
				m.Must(m.Write("keys/k/config", "owner", fmt.Sprint(i)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := mounttest.KeyOf3(t)
			way(m)
			act, _ := lastChange(m, 3)
			require.NotNil(t, act)
			m.Storage.Reset()
			lastChange(m, 3)
			require.Equal(t, storagetest.Counts{Gets: 4}, m.Storage.Reset(), "version, denied uses, lease, custody record")
		})
	}
}

func TestReadingHistoryIsAGetARecordAndOneMore(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	for limit, want := range map[int]storagetest.Counts{2: {Gets: 3}, 5: {Gets: 6}, 6: {Gets: 7, Lists: 1}, 100: {Gets: 7, Lists: 1}} {
		m.Storage.Reset()
		m.Must(m.Read("keys/k/history", "limit", limit))
		require.Equal(t, want, m.Storage.Reset(), "limit %d", limit)
	}
}

// TestReadingWritesNothing is about an act that was cut short: whoever reads neither ends it nor waits for who would.
func TestReadingWritesNothing(t *testing.T) {
	t.Parallel()
	for what, settle := range map[string]func(m *mounttest.Mount){
		"act":        func(m *mounttest.Mount) { m.K.Ops("suspend") },
		"checkpoint": func(m *mounttest.Mount) { m.Must(m.Write("custody/checkpoint")) },
		"verify":     func(m *mounttest.Mount) { m.Must(m.Write("custody/verify")) },
	} {
		t.Run(what, func(t *testing.T) {
			m, _ := mounttest.KeyOf3(t)
			m.Storage.FailWriteAs(4, storagetest.Last) // custody, version, record, custody
			m.Must(m.K.Op("rotate"))
			m.Storage.Heal()
			m.Restart()
			m.Storage.Reset()
			records := m.Must(m.Read("keys/k/history")).Data["records"].([]map[string]any)
			require.Equal(t, "begin", records[len(records)-1]["kind"])
			act, _ := lastChange(m, 4)
			require.Equal(t, "rotate", act)
			require.Zero(t, m.Storage.Reset().Writes())
			settle(m)
			require.Contains(t, string(m.Storage.All()["journal/k/0000000008"]), `"outcome":"done","recovered":true`)
		})
	}
}
