// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package transitformat

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// extension is what Transit does not know of a key. A backup of Transit has none.
type extension struct {
	Format   int                  `json:"format"`
	Policy   string               `json:"policy,omitempty"`
	Owner    string               `json:"owner,omitempty"`
	Labels   map[string]string    `json:"labels,omitempty"`
	Hold     bool                 `json:"legal_hold,omitempty"`
	Uses     []string             `json:"allowed_uses,omitempty"`
	Private  int                  `json:"private_from,omitempty"` // the private halves of versions below were erased
	Primary  int                  `json:"primary_version"`        // 0: none
	Staged   int                  `json:"staged_version,omitempty"`
	Types    []extraType          `json:"types,omitempty"` // of versions before a change of type, as a key has them
	Versions map[int]extraVersion `json:"versions"`
}

type extraType struct {
	Until int    `json:"until"`
	Type  string `json:"type"`
	Size  int    `json:"key_size,omitempty"`
}

const extensionFormat = 1

// extraVersion is a version. Its state is left out where it follows from the rest.
type extraVersion struct {
	Fingerprint string     `json:"fingerprint"`
	State       string     `json:"state,omitempty"`
	Since       *time.Time `json:"since,omitempty"`
	Code        string     `json:"reason_code,omitempty"`
	Occurred    *time.Time `json:"occurred,omitempty"`
	Reported    *time.Time `json:"reported,omitempty"`
	Locked      bool       `json:"locked,omitempty"`
	Lapsed      bool       `json:"lapsed,omitempty"`
}

func (b Backup) extension() *extension {
	k := b.Key
	x := &extension{
		Format: extensionFormat, Policy: k.Policy, Owner: k.Owner, Labels: k.Labels, Hold: k.Hold, Primary: k.Primary, Staged: k.Staged,
		Uses: lifecycle.NamesOf(k.Uses), Private: k.PrivateFrom, Versions: make(map[int]extraVersion, len(b.Versions)),
	}
	for _, t := range k.EarlierTypes {
		if t.Until >= k.MinAvailable {
			x.Types = append(x.Types, extraType{t.Until, string(t.Type), t.Size})
		}
	}
	for n, v := range b.Versions {
		extra := extraVersion{}
		if v.exists() {
			extra.Fingerprint = v.Material.Fingerprint()
		}
		override := k.Override(n)
		if k.IsDestroyed(n) {
			override.State = lifecycle.Destroyed
		}
		if override.State != lifecycle.NoState {
			extra.State, extra.Since = override.State.String(), &override.At
			extra.Locked, extra.Lapsed = override.Locked, override.Lapsed
		}
		if c := override.Compromise; !c.Reported.IsZero() {
			extra.Code, extra.Reported = c.Code, &c.Reported
			if !c.Occurred.IsZero() {
				extra.Occurred = &c.Occurred
			}
		}
		x.Versions[n] = extra
	}
	return x
}

// onto returns the key with what the extension says of it. A version that was retired is archived: its time to be destroyed is for
// somebody to set anew.
func (x *extension) onto(k lifecycle.Key) (lifecycle.Key, error) {
	if x == nil {
		return k, nil
	}
	if x.Format != extensionFormat {
		return k, refusal.Invalidf("backup: keylife.format: %d: must be %d", x.Format, extensionFormat)
	}
	var err error
	if k.Uses, err = lifecycle.ParseUses(x.Uses); err != nil {
		return k, refusal.Invalidf("backup: keylife.%v", err)
	}
	k.PrivateFrom = x.Private
	k.Policy, k.Owner, k.Labels, k.Hold, k.Primary, k.Staged = x.Policy, x.Owner, x.Labels, x.Hold, x.Primary, x.Staged
	for i, t := range x.Types {
		parsed, err := keytype.Parse(t.Type)
		if err != nil {
			return k, refusal.Invalidf("backup: keylife.types.%d: %v", i, err)
		}
		k.EarlierTypes = append(k.EarlierTypes, lifecycle.TypeUntil{Until: t.Until, Type: parsed, Size: t.Size})
	}
	k.Overrides = lifecycle.Overrides{}
	for n, v := range x.Versions {
		override, err := v.override()
		if err != nil {
			return k, refusal.Invalidf("backup: keylife.versions.%d: %v", n, err)
		}
		if n < max(k.MinAvailable, 1) || n > k.Latest {
			return k, refusal.Invalidf("backup: keylife.versions.%d: the key has no such version", n)
		}
		if override != (lifecycle.StateOverride{}) {
			k.Overrides[n] = override
		}
	}
	return k, nil
}

func (v extraVersion) override() (o lifecycle.StateOverride, err error) {
	o.State, o.At, o.Locked, o.Lapsed = lifecycle.ParseState(v.State), timeOf(v.Since), v.Locked, v.Lapsed
	switch {
	case v.State == "":
		return o, nil
	case o.State == lifecycle.Retired && v.Reported != nil:
		o.State = lifecycle.Compromised
	case o.State == lifecycle.Retired:
		o.State = lifecycle.Archived
	case !lifecycle.CanOverride(o.State):
		return o, refusal.InvalidField("state", v.State, "is none that a version is in by itself")
	}
	if v.Reported != nil {
		o.Compromise = lifecycle.Compromise{Code: v.Code, Occurred: timeOf(v.Occurred), Reported: *v.Reported}
	}
	if o.State == lifecycle.Compromised && v.Reported == nil {
		return o, refusal.InvalidField("reported", "", "must be given of a compromised version")
	}
	return o, nil
}

func timeOf(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.UTC()
}

// checkFingerprints finds material that is not what was backed up.
func (x *extension) checkFingerprints(versions map[int]Version) error {
	if x == nil {
		return nil
	}
	for n, v := range versions {
		if want := x.Versions[n].Fingerprint; v.exists() && want != "" && want != v.Material.Fingerprint() {
			return refusal.Invalidf("backup: version %d: the fingerprint of the key is another than that in keylife.versions", n)
		}
	}
	return nil
}
