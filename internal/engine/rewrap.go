// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Wrapping is about the key encryption keys that stored material is wrapped with.
type Wrapping struct{ *Session }

// locations is where the material of each purpose is stored.
var locations = map[string]lifecycle.MaterialLocation{
	envelope.PurposeOnline: lifecycle.InUse, envelope.PurposeArchive: lifecycle.InArchive,
}

// errOneKEK reports a wrapper that cannot tell which key encryption key wrapped what.
var errOneKEK = errors.New("wrapper has one key encryption key and tells no others")

// BeginRewrap notes that kek is to become the active key encryption key of a purpose, and that the clock is to wrap all
// material of the purpose with it; zero: with whichever is active five minutes later. Whoever makes it the active one calls
// BeginRewrap before, and commits within five minutes.
func (w Wrapping) BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error {
	return w.store.Rewraps.BeginRewrap(ctx, purpose, kek)
}

// References counts the material of keys that only the key encryption key opens, in use or in the archive, and the keys that sign
// checkpoints. It reads every
// version there is, and asks no token for anything. Complete is false while material is being wrapped anew, as more may turn
// up until that has come to its end, and where something stored does not tell what wrapped it; the log has its name. What
// belongs to no key is left out: what a creation left that was cut short, and what a deletion has still to erase.
func (w Wrapping) References(ctx context.Context, kek [16]byte) (n int, complete bool, err error) {
	wrapper, _, err := w.kekWrapper(ctx, envelope.PurposeOnline)
	if err != nil {
		return 0, false, err
	}
	open, err := w.store.Rewraps.PendingRewraps(ctx) // before: one that ends meanwhile proves nothing
	if err != nil {
		return 0, false, err
	}
	c := counting{Session: w.Session, wrapper: wrapper, kek: kek, unknown: len(open) > 0}
	for purpose := range locations {
		if err := c.count(ctx, purpose); err != nil {
			return c.n, false, err
		}
	}
	if err := c.signing(ctx); err != nil {
		return c.n, false, err
	}
	return c.n, !c.unknown, nil
}

// counting counts references to a key encryption key.
type counting struct {
	*Session
	wrapper envelope.KEKWrapper
	kek     [16]byte
	n       int
	unknown bool // of something nobody can tell
}

// count counts those of a purpose.
func (c *counting) count(ctx context.Context, purpose string) error {
	names, err := c.store.Sealed.SealedKeys(ctx, locations[purpose])
	if err != nil {
		return err
	}
	for _, name := range names {
		k, err := c.store.Keys.Key(ctx, name)
		switch {
		case errors.Is(err, refusal.ErrNotFound):
			c.Log.Info("stored material belongs to no key", "key", name, "purpose", purpose)
			continue
		case ctx.Err() != nil:
			return fmt.Errorf("count what a key encryption key wraps: %w", ctx.Err())
		case err != nil:
			c.missed(name, 0, purpose, err)
			continue
		}
		versions, err := c.store.Sealed.SealedVersions(ctx, locations[purpose], name)
		if err != nil {
			return err
		}
		for _, n := range versions {
			if err := c.version(ctx, &k, n, purpose); err != nil {
				return err
			}
		}
	}
	return nil
}

// signing counts the keys that sign checkpoints.
func (c *counting) signing(ctx context.Context) error {
	if c.store.Signing == nil {
		return nil
	}
	n, err := c.store.Signing.SigningReferences(ctx, c.wrapper, c.kek)
	c.n += n
	if err != nil && ctx.Err() == nil {
		c.unknown = true
		c.Log.Error("signing keys do not tell what wrapped them", "error", err)
	}
	return ctx.Err()
}

// version counts one.
func (c *counting) version(ctx context.Context, k *lifecycle.Key, n int, purpose string) error {
	v, err := c.store.Sealed.SealedVersion(ctx, locations[purpose], k.Name, n)
	if ctx.Err() != nil {
		return fmt.Errorf("count what a key encryption key wraps: %w", ctx.Err())
	}
	if errors.Is(err, refusal.ErrNotFound) || err == nil && (len(v.Sealed) == 0 || v.KeyID != k.ID) {
		return nil
	}
	var id [16]byte
	if err == nil {
		id, err = envelope.KEKOf(c.wrapper, v.Sealed)
	}
	switch {
	case err != nil:
		c.missed(k.Name, n, purpose, err)
	case id == c.kek:
		c.n++
	}
	return nil
}

// missed notes what does not tell what wrapped it.
func (c *counting) missed(name string, n int, purpose string, err error) {
	c.unknown = true
	c.Log.Error("stored material does not tell what wrapped it", "key", name, "version", n, "purpose", purpose, "error", err)
}

// kekWrapper returns the wrapper of a purpose.
func (s *Session) kekWrapper(ctx context.Context, purpose string) (w envelope.KEKWrapper, instance string, err error) {
	one, instance, err := s.data.Wrappers.Wrapper(ctx, purpose, false)
	if err != nil {
		return nil, "", err
	}
	w, ok := one.(envelope.KEKWrapper)
	if !ok {
		return nil, "", errOneKEK
	}
	return w, instance, nil
}

// isOutdated reports that a blob which is to be stored was wrapped with another key encryption key than the active one. Whoever
// wraps everything anew may be past the place of it. It asks no token; what cannot be told is for them to find.
func (s *Session) isOutdated(ctx context.Context, purpose string, sealed []byte) bool {
	wrapper, _, err := s.kekWrapper(ctx, purpose)
	if err != nil {
		return false
	}
	id, err := envelope.KEKOf(wrapper, sealed)
	return err == nil && id != wrapper.Active()
}

// Rewrapper wraps the stored material of a purpose with the active key encryption key. The material is not opened.
type Rewrapper struct {
	*Session
	wrapper           envelope.KEKWrapper
	instance, purpose string
	at                lifecycle.MaterialLocation
}

// Rewrapper returns that of a purpose. The error is that of its wrapper.
func (w Wrapping) Rewrapper(ctx context.Context, purpose string) (Rewrapper, error) {
	at, known := locations[purpose]
	if !known {
		return Rewrapper{}, fmt.Errorf("rewrap %q: there is no such purpose", purpose)
	}
	wrapper, instance, err := w.kekWrapper(ctx, purpose)
	return Rewrapper{w.Session, wrapper, instance, purpose, at}, err
}

// SealedKeys returns the names of the keys that may have material of a purpose, in alphabetical order.
func (w Wrapping) SealedKeys(ctx context.Context, purpose string) ([]string, error) {
	return w.store.Sealed.SealedKeys(ctx, locations[purpose])
}

// Active returns the active key encryption key.
func (r Rewrapper) Active() [16]byte { return r.wrapper.Active() }

// Names returns the names of the keys that may have material, in alphabetical order.
func (r Rewrapper) Names(ctx context.Context) ([]string, error) {
	return r.store.Sealed.SealedKeys(ctx, r.at)
}

// Versions returns the versions of a key that may have material, the oldest first.
func (r Rewrapper) Versions(ctx context.Context, name string) ([]int, error) {
	return r.store.Sealed.SealedVersions(ctx, r.at, name)
}

// Rewrapped is what became of a version.
type Rewrapped int

// What may become of a version that is to be wrapped with the active key encryption key.
const (
	RewrapNeedless Rewrapped = iota // it is, or there is no material, or it is another key's
	RewrapMissed                    // it is not, and was changed, moved or destroyed meanwhile
	RewrapDone                      // it was not, and is
)

// Rewrap wraps the material of a version of k with the active key encryption key, if another one wraps it: one call of the
// wrapper to unwrap and one to wrap, while no lock is held. What changed meanwhile stays as it is.
func (r Rewrapper) Rewrap(ctx context.Context, k *lifecycle.Key, n int) (Rewrapped, error) {
	v, err := r.store.Sealed.SealedVersion(ctx, r.at, k.Name, n)
	switch {
	case errors.Is(err, refusal.ErrNotFound), err == nil && (len(v.Sealed) == 0 || v.KeyID != k.ID):
		return RewrapNeedless, nil
	case err != nil:
		return RewrapNeedless, err
	}
	id, err := envelope.KEKOf(r.wrapper, v.Sealed)
	if err != nil || id == r.wrapper.Active() {
		return RewrapNeedless, err
	}
	sealed, err := envelope.Rewrap(ctx, r.wrapper, v.Sealed, dataplane.Binding(r.instance, r.purpose, k, n))
	if err != nil {
		return RewrapNeedless, err
	}
	replaced, err := r.store.Sealed.ReplaceSealed(ctx, r.at, k.Name, v, sealed)
	if err != nil || !replaced {
		return RewrapMissed, err
	}
	r.Plane.ForgetCipher(k, n) // how long it is used from memory depends on what wraps it
	return RewrapDone, nil
}

// SigningKeys wraps the keys that sign checkpoints with the active key encryption key; they belong to the material in use.
func (r Rewrapper) SigningKeys(ctx context.Context) (found, done int, err error) {
	if r.store.Signing == nil || r.purpose != envelope.PurposeOnline {
		return 0, 0, nil
	}
	return r.store.Signing.RewrapSigningKeys(ctx, r.wrapper, r.instance)
}
