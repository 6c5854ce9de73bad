// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// makeResident makes key k on the token.
func makeResident(w *enginetest.World, policy string) error {
	return makeResidentOf(w, keytype.Default, policy)
}

func makeResidentOf(w *enginetest.World, kind keytype.Type, policy string) error {
	_, _, err := w.Session().Keys().Create(context.Background(), engine.Creation{
		Spec: lifecycle.Key{Name: "k", Type: kind, Size: kind.SizeOf(32), Protection: lifecycle.Resident}, Policy: &policy,
	})
	return err
}

// pending returns how many keys on the token are noted.
func pending(t *testing.T, w *enginetest.World) int {
	t.Helper()
	_, left, err := w.Session().Wrapping().Residents(t.Context())
	require.NoError(t, err)
	return left
}

func span(t *testing.T, text string) schedule.Span {
	t.Helper()
	s, err := schedule.ParseSpan(text)
	require.NoError(t, err)
	return s
}

// TestAKeyOnTheTokenIsAskedForUnderNoLock has all checks made by the token; the fakes complain of a call under a lock.
func TestAKeyOnTheTokenIsAskedForUnderNoLock(t *testing.T) {
	for _, kind := range []keytype.Type{keytype.Default, keytype.ECDSAP256, keytype.RSA2048, keytype.HMAC} {
		askedForUnderNoLock(t, kind)
	}
}

func askedForUnderNoLock(t *testing.T, kind keytype.Type) {
	t.Helper()
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) {
		allChecks(d)
		d.MinVersionsKept = 1
	})
	require.NoError(t, makeResidentOf(w, kind, "p"))
	require.Equal(t, 1, w.Residents.Objects())
	require.NoError(t, rotate(w, false, engine.Precondition{}))
	require.NoError(t, rotate(w, true, engine.Precondition{}))
	require.NoError(t, do(w, lifecycle.Promote, 3))
	require.NoError(t, do(w, lifecycle.ReportCompromise, 3))
	require.Equal(t, 4, w.Stored("k").Primary)
	require.NoError(t, do(w, lifecycle.Archive, 1))
	require.NoError(t, do(w, lifecycle.Recover, 1))
	require.Equal(t, 4, w.Residents.Objects())
	require.Zero(t, pending(t, w))
	if kind.SupportsEncryption() {
		require.NoError(t, w.Encrypt("k", "x").Err)
	}
	v, err := w.Session().Versions().Read(t.Context(), "k", 4)
	require.NoError(t, err)
	require.Equal(t, kind.IsAsymmetric(), len(v.Public) > 0, "the public half is stored beside what is sealed")
}

func TestWhatATokenCannotHoldIsRefusedBeforeAnythingIsNoted(t *testing.T) {
	w := enginetest.New(t)
	w.Residents.Refuse()
	w.Calls()
	err := makeResident(w, "")
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.ErrorContains(t, err, `protection: "hsm"`)
	require.NotContains(t, w.Calls(), "PutObject")
}

// TestAnObjectOfAnActUnderWayIsNotTouched leaves one behind, and looks at it before and after its time.
func TestAnObjectOfAnActUnderWayIsNotTouched(t *testing.T) {
	w := enginetest.New(t)
	lost := errors.New("lost")
	w.Fail("CreateKey", lost)
	require.ErrorIs(t, makeResident(w, ""), lost)
	w.Fail("CreateKey", nil)
	require.Equal(t, 1, w.Residents.Objects())
	w.Tick()
	w.Clock.Add(4 * time.Minute)
	w.Tick()
	require.Equal(t, 1, w.Residents.Objects())
	require.Equal(t, 1, pending(t, w))
	w.Token.Away(fmt.Errorf("%w: unplugged", envelope.ErrUnavailable))
	w.Clock.Add(2 * time.Minute)
	w.Tick()
	require.Equal(t, 1, pending(t, w), "a tick waits for the token")
	w.Token.Away(nil)
	w.Tick()
	require.Zero(t, w.Residents.Objects())
	require.Zero(t, pending(t, w))
}

func TestANoteThatCannotBeReadIsNotInTheWayOfOthers(t *testing.T) {
	w := enginetest.New(t)
	w.Fail("CreateKey", errors.New("lost"))
	for range 3 {
		require.Error(t, makeResident(w, ""))
	}
	calls := 0
	w.Before("GiveUpObject", func() {
		calls++
		w.Fail("GiveUpObject", nil)
		if calls == 1 {
			w.Fail("GiveUpObject", errors.New("damaged"))
		}
	})
	w.Clock.Add(10 * time.Minute)
	_, err := w.ByClock().Tick(t.Context())
	require.ErrorContains(t, err, "damaged")
	require.Equal(t, 1, w.Residents.Objects())
	w.Before("GiveUpObject", nil)
	w.Tick()
	require.Zero(t, w.Residents.Objects())
}

func TestANoteThatWasNotDroppedIsDroppedByATickAndTheObjectStays(t *testing.T) {
	w := enginetest.New(t)
	w.Fail("DropObject", errors.New("lost"))
	require.NoError(t, makeResident(w, ""))
	w.Fail("DropObject", nil)
	require.Equal(t, 1, pending(t, w))
	w.Clock.Add(10 * time.Minute)
	w.Tick()
	require.Zero(t, pending(t, w))
	require.Equal(t, 1, w.Residents.Objects())
	require.NoError(t, w.Encrypt("k", "x").Err)
}

func TestTheObjectGoesBeforeWhatIsStoredOfIt(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) {
		d.MinVersionsKept, d.DestroyDelay, d.QuietPeriod = 1, span(t, "1d"), span(t, "0")
	})
	require.NoError(t, makeResident(w, "p"))
	require.NoError(t, rotate(w, false, engine.Precondition{}))
	require.NoError(t, do(w, lifecycle.Archive, 1))
	require.NoError(t, do(w, lifecycle.Retire, 1))
	w.Tick()
	w.Token.Away(fmt.Errorf("%w: unplugged", envelope.ErrUnavailable))
	for range 25 * 60 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	require.Equal(t, lifecycle.Destroyed, w.Stored("k").State(1))
	detail, err := w.Session().Versions().Read(t.Context(), "k", 1)
	require.NoError(t, err)
	require.True(t, detail.Pending)
	require.NotEmpty(t, detail.Object)
	w.Token.Away(nil)
	w.Tick()
	require.Equal(t, 1, w.Residents.Objects())
	detail, err = w.Session().Versions().Read(t.Context(), "k", 1)
	require.NoError(t, err)
	require.False(t, detail.Pending)
	require.Empty(t, detail.Object)
	require.NotEmpty(t, detail.Fingerprint)
}

func TestKeysShowWhereTheyAre(t *testing.T) {
	w := enginetest.New(t)
	w.Create("soft", "")
	shown := func(name string) lifecycle.Protection {
		view, err := w.Session().Keys().Read(t.Context(), name)
		require.NoError(t, err)
		detail, err := w.Session().Versions().Read(t.Context(), name, 1)
		require.NoError(t, err)
		require.Equal(t, view.Protection, detail.Protection)
		return view.Protection
	}
	w.Calls()
	require.Equal(t, lifecycle.Software, shown("soft"))
	require.NotContains(t, w.Calls(), "SealedVersion", "without an HSM nothing is read for it")
	w.RotateKEK(1, true)
	w.Create("hard", "")
	require.Equal(t, lifecycle.Software, shown("soft"), "until it is wrapped anew")
	require.Equal(t, lifecycle.HSMWrapped, shown("hard"))
	require.NoError(t, makeResident(w, ""))
	require.Equal(t, lifecycle.Resident, shown("k"))
}

func TestAPolicyThatWantsAnHSMIsMetByAKeyOnTheToken(t *testing.T) {
	w := enginetest.New(t)
	w.Token.SetHardware(true)
	w.Policy("p", func(d *policy.Document) { d.HSM = policy.Required })
	require.NoError(t, makeResident(w, "p"))
	drift, err := w.Session().Policies().Drift(t.Context(), "p", engine.Page{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, drift.Drifting)
	keys, _, err := w.Session().Wrapping().Residents(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, keys)
}
