// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

// versionActs lists version and act, one after another.
func versionActs(numbers ...int) (list []lifecycle.VersionAct) {
	for pair := range slices.Chunk(numbers, 2) {
		list = append(list, lifecycle.VersionAct{Version: pair[0], Act: pair[1]})
	}
	return list
}

// act commits an act on key orders.
func (w *world) act(t testing.TB, event lifecycle.Event, change func(*lifecycle.Key)) lifecycle.Key {
	t.Helper()
	k, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Revision++
		if change != nil {
			change(&k)
		}
		return lifecycle.Commit{Key: k, Event: event}, nil
	})
	require.NoError(t, err)
	stored, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, stored, k)
	return k
}

func TestTheRecordOfAKeySaysWhichActChangedAVersionLast(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "") // record 1
	w.grow(t, "orders", 4)    // 3, 5, 7
	w.act(t, lifecycle.Event{Act: "suspend", Versions: []int{2}}, nil)
	w.act(t, lifecycle.Event{Act: "rollback", Versions: []int{3}, Details: map[string]string{"superseded": "4"}}, nil)
	w.act(t, lifecycle.Event{Act: "compromise", Versions: []int{3}, Details: map[string]string{"successor": "4"}}, nil)
	k := w.act(t, lifecycle.Event{Act: "configure"}, func(k *lifecycle.Key) { k.MinDecryption = 2 })
	require.Equal(t, lifecycle.LastActs{
		Since: 1, Versions: versionActs(1, 1, 2, 9, 3, 13, 4, 13), Floors: []lifecycle.FloorChange{{Act: 15, From: 1, To: 2}},
	}, k.LastActs)
	k = w.act(t, lifecycle.Event{Act: "archive", From: "enabled", To: "archived"}, nil)
	k = w.act(t, lifecycle.Event{Act: "trim"}, func(k *lifecycle.Key) { k.MinAvailable = 2 })
	for version, want := range map[int]int{1: 19, 2: 17, 3: 17, 4: 17} {
		require.Equal(t, want, lifecycle.LastActOf(k, version), "version %d", version)
	}
}

func TestAnActThatDoesNotCommitIsNobodysLastChange(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.FailWrite(2, false)
	_, err := w.UpdateKey(ctx, "orders", rotate("x"))
	require.Error(t, err)
	w.disk.Heal()
	k := w.grow(t, "orders", 2)
	require.Equal(t, versionActs(1, 1, 2, 5), k.LastActs.Versions)
}

// TestAKeyOfAnEarlierReleaseSaysFromWhenOnItKnows is about records without these fields.
func TestAKeyOfAnEarlierReleaseSaysFromWhenOnItKnows(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.grow(t, "orders", 3)
	record := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(w.entries(t)["keys/orders"]), &record))
	delete(record, "last_acts")
	data, err := json.Marshal(record)
	require.NoError(t, err)
	w.plant(t, "keys/orders", string(data))
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Zero(t, k.LastActs)
	k = w.act(t, lifecycle.Event{Act: "suspend", Versions: []int{2}}, nil)
	require.Equal(t, lifecycle.LastActs{Since: 7, Versions: versionActs(2, 7)}, k.LastActs)
}

func TestWhatAKeyRemembersOfItsActsIsBounded(t *testing.T) {
	racetest.Skip(t, "one goroutine does more than a thousand acts")
	w := newWorld()
	w.create(t, "orders", "")
	w.growUnrecorded(t, "orders", 600)
	for v := 1; v <= 600; v++ {
		w.act(t, lifecycle.Event{Act: "suspend", Versions: []int{v}}, nil)
	}
	k := w.act(t, lifecycle.Event{Act: "hold"}, nil)
	require.Len(t, k.LastActs.Versions, 512)
	require.Equal(t, 2*88+2, k.LastActs.Since, "the act of version 88 is the newest that is forgotten")
	require.Zero(t, lifecycle.LastActOf(k, 88))
	require.Equal(t, 2*89+1, lifecycle.LastActOf(k, 89))
	require.Less(t, len(w.entries(t)["keys/orders"]), 8<<10)
}

func TestWhatCannotBeReadOfTheLastActsIsNothing(t *testing.T) {
	record := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(golden(t, "key")), &record))
	for text, want := range map[string][]lifecycle.VersionAct{
		"3:7+2-3,9:1": versionActs(3, 7, 4, 9, 5, 6, 9, 1),
		"1:1+0":       versionActs(1, 1, 2, 1),
		"3":           nil, "3:": nil, ":7": nil, "3:7+": nil, "3:x": nil, "3:7,3:8": nil, "3:7,,": nil, "3:1-1": nil, "3:7:8": nil,
	} {
		record["last_acts"] = map[string]any{"since": 5, "versions": text}
		data, err := json.Marshal(record)
		require.NoError(t, err)
		k, err := load(t, map[string]string{"keys/orders": string(data)}).Key(ctx, "orders")
		require.NoError(t, err, text)
		require.Equal(t, want, k.LastActs.Versions, strconv.Quote(text))
		require.Equal(t, want == nil, k.LastActs.Since == 0, fmt.Sprintf("%q", text))
	}
}
