// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// complaints is a test that counts how often it fails.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestTheFakesComplainOfWhatNoStorageShouldBeAskedFor(t *testing.T) {
	at := Start
	good := func(k lifecycle.Key) lifecycle.Commit {
		next, err := k.Rotate(lifecycle.ByOperator, "", time.Time{}, at)
		require.NoError(t, err)
		return lifecycle.Commit{
			Key: next, Event: lifecycle.Event{Act: "rotate"},
			Version: &lifecycle.Version{KeyID: k.ID, Number: next.Latest, Created: at, Sealed: []byte("s")},
		}
	}
	for name, spoil := range map[string]func(c *lifecycle.Commit){
		"nothing is wrong":                    func(*lifecycle.Commit) {},
		"a version with another date":         func(c *lifecycle.Commit) { c.Version.Created = at.Add(time.Second) },
		"a version of another key":            func(c *lifecycle.Commit) { c.Version.KeyID = "other" },
		"a version without material":          func(c *lifecycle.Commit) { c.Version.Sealed = nil },
		"a number that is not the newest":     func(c *lifecycle.Commit) { c.Version.Number = 7 },
		"a new version that is not there":     func(c *lifecycle.Commit) { c.Version = nil },
		"an act that custody does not keep":   func(c *lifecycle.Commit) { c.Event.Act = "" },
		"a revision that goes back":           func(c *lifecycle.Commit) { c.Key.Revision = -1 },
		"another key":                         func(c *lifecycle.Commit) { c.Key.ID = "other" },
		"material that is said to be moved":   func(c *lifecycle.Commit) { c.Relocate = lifecycle.Of(1) },
		"a version that takes another's name": func(c *lifecycle.Commit) { c.Version.Number = 1 },
	} {
		w := New(t)
		w.Create("k", "")
		tb := &complaints{TB: t}
		w.t = tb
		_, err := keyStore{w.Mount, false}.UpdateKey(context.Background(), "k", func(k lifecycle.Key) (lifecycle.Commit, error) {
			c := good(k)
			spoil(&c)
			return c, nil
		})
		require.NoError(t, err)
		require.Equal(t, name == "nothing is wrong", tb.n == 0, name)
	}
}

func TestTheFakesComplainOfAWrapperThatIsCalledUnderALock(t *testing.T) {
	w := New(t)
	w.Create("k", "")
	tb := &complaints{TB: t}
	w.t = tb
	wrap := func() { _, _ = w.Token.Wrap(context.Background(), []byte("dek"), nil) }
	wrap()
	require.Zero(t, tb.n)
	_, err := keyStore{w.Mount, false}.UpdateKey(context.Background(), "k", func(k lifecycle.Key) (lifecycle.Commit, error) {
		wrap()
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, tb.n)
}
