// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var ctx = context.Background()

// mount is all that a ledger reads and writes, in memory. It notes what is asked of it.
type mount struct {
	t        *testing.T
	journals map[string]map[int]string
	heads    map[string]custody.Head
	broken   map[string]bool // journals whose end contradicts the key's record
	keys     []string
	signing  []custody.StoredKey
	wrapper  *wrapper
	asked    []string
	fails    string // what cannot be asked
	before   func() // before a signing key is added
}

var errDown = errors.New("storage is down")

func newMount(t *testing.T) *mount {
	return &mount{t: t, wrapper: newWrapper(t), journals: map[string]map[int]string{}, heads: map[string]custody.Head{}, broken: map[string]bool{}}
}

func (m *mount) ledger() ledger.Ledger {
	return ledger.New(
		ledger.Config{Now: func() time.Time { return start }, Rand: rand.NewChaCha8([32]byte{7}), Log: hclog.NewNullLogger()},
		ledger.Storage{Journals: m, Signing: m, Identity: m, Wrappers: m},
	)
}

// add appends a record to a journal.
func (m *mount) add(name string, r custody.Record) int {
	m.t.Helper()
	r.Instance, r.Key, r.Time = "i1", name, start
	line, head, err := m.heads[name].Append(r)
	require.NoError(m.t, err)
	if m.journals[name] == nil {
		m.journals[name] = map[int]string{}
	}
	m.journals[name][head.Count], m.heads[name] = string(line), head
	return head.Count
}

// act adds an act that went as told, and returns the number of the record that begins it.
func (m *mount) act(name string, begin custody.Record, outcome custody.Outcome) int {
	m.t.Helper()
	begin.Kind = custody.Begin
	if begin.KeyID == "" {
		begin.KeyID = "id of " + name
	}
	seq := m.add(name, begin)
	m.add(name, custody.Record{Kind: custody.End, Of: seq, Outcome: outcome})
	return seq
}

func (m *mount) called(what string, args ...any) error {
	call := fmt.Sprint(append([]any{what}, args...)...)
	m.asked = append(m.asked, call)
	if m.fails == what {
		return errDown
	}
	return nil
}

func (m *mount) JournalNames(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(m.journals)), m.called("JournalNames")
}

func (m *mount) Lines(_ context.Context, name string, after int) iter.Seq2[custody.Line, error] {
	return func(yield func(custody.Line, error) bool) {
		if err := m.called("Lines", name, after); err != nil {
			yield(custody.Line{}, err)
			return
		}
		for _, seq := range slices.Sorted(maps.Keys(m.journals[name])) {
			if seq > after && !yield(custody.Line{Seq: seq, Text: []byte(m.journals[name][seq])}, nil) {
				return
			}
		}
	}
}

func (m *mount) Line(_ context.Context, name string, seq int) ([]byte, error) {
	text, found := m.journals[name][seq]
	if err := m.called("Line", name, seq); err != nil || !found {
		return nil, err
	}
	return []byte(text), nil
}

func (m *mount) Committed(_ context.Context, name string) (int, error) {
	return max(m.heads[name].Count-1, 0), m.called("Committed", name)
}

func (m *mount) JournalHead(_ context.Context, name string) (custody.Head, error) {
	if err := m.called("JournalHead", name); err != nil {
		return custody.Head{}, err
	}
	if m.broken[name] {
		return custody.Head{}, fmt.Errorf("%s: %w", name, custody.ErrBroken)
	}
	return m.heads[name], nil
}

func (m *mount) CheckJournal(_ context.Context, name string) (string, error) {
	if m.broken[name] {
		return name + " is broken", nil
	}
	return "", m.called("CheckJournal", name)
}

func (m *mount) InspectJournal(ctx context.Context, name string) (string, error) {
	return m.CheckJournal(ctx, name)
}

func (m *mount) ExpectedNames(context.Context) ([]string, error) {
	return m.keys, m.called("ExpectedNames")
}

func (m *mount) SigningKeys(context.Context) ([]custody.StoredKey, error) {
	return m.signing, m.called("SigningKeys")
}

func (m *mount) AddSigningKey(
	_ context.Context, event lifecycle.Event, grow func([]custody.StoredKey) *custody.StoredKey,
) ([]custody.StoredKey, error) {
	if err := m.called("AddSigningKey"); err != nil {
		return nil, err
	}
	if m.before != nil {
		m.before()
	}
	if key := grow(m.signing); key != nil {
		require.Equal(m.t, "rotate-signing-key", event.Act)
		m.signing = append(m.signing, *key)
	}
	return m.signing, nil
}

func (m *mount) ReplaceSigningKeys(_ context.Context, was, next []custody.StoredKey) (bool, error) {
	if err := m.called("ReplaceSigningKeys"); err != nil || !reflect.DeepEqual(was, m.signing) {
		return false, err
	}
	m.signing = next
	return true, nil
}

func (m *mount) Wrapper(context.Context, string, bool) (envelope.KeyWrapper, string, error) {
	return m.wrapper, "i1", nil
}

// wrapper has several key encryption keys, and may be away.
type wrapper struct {
	active *hsm.Software
	all    []*hsm.Software
	away   bool
	calls  int
}

func newWrapper(t *testing.T) *wrapper {
	w := &wrapper{}
	w.rotate(t)
	return w
}

func (w *wrapper) rotate(t *testing.T) {
	one, err := hsm.NewSoftware([16]byte{byte(len(w.all) + 1)}, make([]byte, 32), cryptorand.Reader)
	require.NoError(t, err)
	w.active, w.all = one, append(w.all, one)
}

func (w *wrapper) Active() [16]byte { return w.active.KEKID() }

func (w *wrapper) KEKIDOf(wrapped []byte) ([16]byte, error) { return hsm.KEKIDOf(wrapped) }

func (w *wrapper) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if w.calls++; w.away {
		return nil, envelope.ErrUnavailable
	}
	return w.active.Wrap(ctx, dek, aad)
}

func (w *wrapper) Unwrap(ctx context.Context, wrapped, aad []byte) (dek []byte, err error) {
	if w.calls++; w.away {
		return nil, envelope.ErrUnavailable
	}
	for _, one := range w.all {
		if dek, err = one.Unwrap(ctx, wrapped, aad); err == nil {
			return dek, nil
		}
	}
	return nil, err
}

func (m *mount) Instance(context.Context) (string, error) { return "i1", m.called("Instance") }
