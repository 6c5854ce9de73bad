// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Condition is how the stored material of a version was found: available, intact and accessible, or which of these it is not.
type Condition string

// The conditions.
const (
	Well         Condition = "ok"
	Missing      Condition = "missing"      // its entry, or the material in it, is not there
	Damaged      Condition = "damaged"      // it does not open, or opens to something else
	Inaccessible Condition = "inaccessible" // the key encryption key that wraps it is not there, or it does not do its work
	Unavailable  Condition = "unavailable"  // nobody can tell at the moment: the wrapper is away, or storage does not answer
	Gone         Condition = ""             // it was erased, or its key deleted, meanwhile
)

// Failed reports a condition that stays until somebody acts.
func (c Condition) Failed() bool { return c == Missing || c == Damaged || c == Inaccessible }

// Examined is what was found of the material of a version.
type Examined struct {
	Condition Condition
	Why       string // empty: it is well, or gone
}

// Thoroughness is how far an examination goes.
type Thoroughness int

// The examinations.
const (
	Opening Thoroughness = iota // the material is opened and held against its fingerprint
	Use                         // and does its work once: a round trip, a signature, a MAC
)

// Examine looks at the stored material of a version, and not at what is in memory. Nothing is written. Keys tells whether what is not
// well was erased meanwhile.
func (m Materials) Examine(ctx context.Context, keys KeySource, k *lifecycle.Key, number int, how Thoroughness) Examined {
	found := m.examine(ctx, k, number, how)
	if !found.Condition.Failed() {
		return found
	}
	fresh, err := keys.Key(ctx, k.Name)
	switch {
	case errors.Is(err, refusal.ErrNotFound), err == nil && (fresh.ID != k.ID || lifecycle.LocationOf(fresh, number) == lifecycle.Erased):
		return Examined{}
	case err != nil:
		return unavailable(err)
	}
	return found
}

func (m Materials) examine(ctx context.Context, k *lifecycle.Key, number int, how Thoroughness) Examined {
	v, err := m.Source.Version(ctx, k.Name, number)
	if err == nil && v.KeyID != k.ID {
		err = errOtherKey
	}
	if err != nil {
		return notRead(err)
	}
	sealed, purpose, err := m.sealedOf(ctx, k, v)
	if err != nil {
		return notRead(err)
	}
	material, err := m.Open(ctx, k, sealed, purpose)
	if err != nil {
		return notOpened(err)
	}
	defer material.Wipe()
	if material.Fingerprint() != v.Fingerprint {
		return Examined{Damaged, "the material is not that of the fingerprint"}
	}
	if how == Opening {
		return Examined{Condition: Well}
	}
	c, err := m.CipherOf(k, number, material)
	if err == nil {
		err = c.SelfTest(ctx)
	}
	return notUsed(err)
}

// sealedOf returns the entry that has the material of a version; v is the one in use. Material may be on its way between the two,
// see [Materials.Load].
func (m Materials) sealedOf(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) (lifecycle.Version, string, error) {
	for range 2 {
		if len(v.Sealed) > 0 {
			return v, envelope.PurposeOnline, nil
		}
		archived, err := m.Source.Archived(ctx, k.Name, v.Number)
		if !errors.Is(err, refusal.ErrNotFound) {
			return archived, envelope.PurposeArchive, err
		}
		if v, err = m.Source.Version(ctx, k.Name, v.Number); err != nil {
			return v, "", err
		}
	}
	return v, "", errNowhere
}

// damaged is what an error has that says of what is stored that it is damaged.
type damaged interface{ Corrupt() bool }

func notRead(err error) Examined {
	var d damaged
	switch {
	case errors.Is(err, refusal.ErrNotFound), errors.Is(err, errNowhere):
		return Examined{Missing, err.Error()}
	case errors.Is(err, errOtherKey), errors.As(err, &d) && d.Corrupt():
		return Examined{Damaged, err.Error()}
	}
	return unavailable(err)
}

func notOpened(err error) Examined {
	switch {
	case isAway(err):
		return unavailable(err)
	case errors.Is(err, envelope.ErrCorrupt), errors.Is(err, envelope.ErrInternal), errors.Is(err, errOtherKey):
		return Examined{Damaged, err.Error()}
	}
	return Examined{Inaccessible, err.Error()}
}

func notUsed(err error) Examined {
	switch {
	case err == nil:
		return Examined{Condition: Well}
	case isAway(err):
		return unavailable(err)
	}
	return Examined{Inaccessible, err.Error()}
}

func isAway(err error) bool {
	return errors.Is(err, envelope.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func unavailable(err error) Examined {
	return Examined{Unavailable, fmt.Sprintf("nobody can tell: %v", err)}
}
