// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// keyAnswer shows a key: Transit's fields, and ours behind them.
var keyAnswer = vaultapi.Answer[engine.View]{
	vaultapi.Show(fName, func(v engine.View) string { return v.Key.Name }),
	vaultapi.Show(fType, func(v engine.View) string { name, _ := lifecycle.TypesOf(&v.Key).Active().Shown(); return name }),
	vaultapi.Show(fDerived, func(v engine.View) bool { return v.Key.Derived }),
	vaultapi.Show(fExportable, func(v engine.View) bool { return v.Key.Exportable }),
	vaultapi.Show(fPlaintextBackup, func(v engine.View) bool { return v.Key.AllowPlaintextBackup }),
	vaultapi.ShowAs(fAutoRotatePeriod, func(v engine.View) int64 { return int64(v.Key.AutoRotatePeriod.Seconds()) }),
	vaultapi.Show(fDeletionAllowed, func(v engine.View) bool { return v.Key.DeletionAllowed }),
	vaultapi.Show(fMinDecryption, func(v engine.View) int { return v.Key.MinDecryption }),
	vaultapi.Show(fMinEncryption, func(v engine.View) int { return v.Key.MinEncryption }),
	vaultapi.Show(vaultapi.Int("min_available_version", "Versions below do not exist any more. 0: all exist."),
		func(v engine.View) int { return v.Key.MinAvailable }),
	vaultapi.Show(vaultapi.Int("latest_version", "Number of the newest version."), func(v engine.View) int { return v.Key.Latest }),
	vaultapi.Show(vaultapi.Bool("supports_encryption", "The key encrypts."), func(v engine.View) bool { return lifecycle.TypesOf(&v.Key).Active().SupportsEncryption() }),
	vaultapi.Show(vaultapi.Bool("supports_decryption", "The key decrypts."), func(v engine.View) bool { return lifecycle.TypesOf(&v.Key).Active().SupportsEncryption() }),
	vaultapi.Show(vaultapi.Bool("supports_signing", "The key signs."), func(v engine.View) bool { return lifecycle.TypesOf(&v.Key).Active().SupportsSigning() }),
	vaultapi.Show(vaultapi.Bool("supports_derivation", "The key can derive a key for each context."),
		func(v engine.View) bool { return lifecycle.TypesOf(&v.Key).Active().SupportsDerivation() }),
	vaultapi.Show(vaultapi.Bool("imported_key", "The newest version was made elsewhere."), func(v engine.View) bool { return v.Key.Imported }),
	vaultapi.ShowAs(vaultapi.Object("keys", "Versions from min_decryption_version on, whatever their state: number to time of creation in Unix seconds; of a type with a public half, to name, public_key, certificate_chain and creation_time. Where types differ, each has a type, too."),
		shownVersions),

	vaultapi.Show(fPolicy, func(v engine.View) string { return v.Key.Policy }),
	vaultapi.Show(fLevel, func(v engine.View) string { return string(v.Protection) }),
	vaultapi.Show(fOwner, func(v engine.View) string { return v.Key.Owner }),
	vaultapi.Show(fLabels, func(v engine.View) map[string]string { return labelsOf(v.Key.Labels) }),
	vaultapi.Show(fUses, func(v engine.View) []string { return append([]string{}, lifecycle.NamesOf(v.Key.Uses)...) }),
	vaultapi.Show(vaultapi.Text("state", "enabled, suspended, archived, retired or destroyed: of the key as a whole."),
		func(v engine.View) string { return v.Key.Status.State.String() }),
	vaultapi.Show(vaultapi.Bool("soft_deleted", "The key is suspended."), func(v engine.View) bool { return v.Key.Status.Suspended() }),
	vaultapi.Show(vaultapi.Bool("legal_hold", "Nothing of the key is retired, destroyed or deleted."), func(v engine.View) bool { return v.Key.Hold }),
	vaultapi.Show(vaultapi.Int("primary_version", "The active version. 0: none."), func(v engine.View) int { return v.Key.Primary }),
	vaultapi.Show(vaultapi.Int("staged_version", "The pre-active version. 0: none."), func(v engine.View) int { return v.Key.Staged }),
	vaultapi.Show(vaultapi.Text("destroy_time", "When the retired key is destroyed, RFC 3339; empty: it is not retired."),
		func(v engine.View) string { return vaultapi.Time(v.Key.Status.DestroyAt) }),
	vaultapi.Show(vaultapi.Int("revision", "Grows by one with every change; what cas is compared with."), func(v engine.View) int { return v.Key.Revision }),
	vaultapi.Show(vaultapi.Text("next_rotation_time", "When the key is, or was, due for rotation, RFC 3339; empty: never by itself."),
		func(v engine.View) string { return vaultapi.Time(v.Plan.Next) }),
	vaultapi.Show(vaultapi.Text("rotation_status", "none, scheduled, due, overdue, retrying, stalled or stopped; see keys/:name/rotation."),
		func(v engine.View) string { return string(v.Plan.Status) }),
}

// keyRows show keys in a table.
var keyRows = keyAnswer.Only("type", "state", "policy", "primary_version", "next_rotation_time", "rotation_status")

// fLevel is fProtection as it is shown.
var fLevel = vaultapi.Text("protection", "Where the key itself is: software (a key encryption key in storage wraps it), hsm_wrapped (the HSM wraps it) or hsm (it never leaves the HSM); empty: it was destroyed, or nobody can tell. Of a key, that of its active version.")

var (
	fKDF               = vaultapi.Text("kdf", "Key derivation function of derived keys.")
	fConvergentVersion = vaultapi.Int("convergent_encryption_version", "Scheme of convergent keys; -1: each version says its own.")
	fMayRotate         = vaultapi.Bool("imported_key_allow_rotation", "The key may get versions that are made here.")
	keyFields          = keyAnswer.Fields(fConvergent, fKDF, fConvergentVersion, fKeySize, fMayRotate, fParameterSet)
)

// showKey renders a key as Transit does, with our fields beside Transit's.
func showKey(v engine.View) *logical.Response {
	resp := keyAnswer.Of(v)
	if v.Key.Derived {
		resp.Data[fKDF.Name] = "hkdf_sha256"
		resp.Data[fConvergent.Name] = v.Key.Convergent
	}
	if v.Key.Convergent {
		resp.Data[fConvergentVersion.Name] = -1
	}
	if v.Key.Imported {
		resp.Data[fMayRotate.Name] = v.Key.AllowRotation
	}
	if lifecycle.TypesOf(&v.Key).Active() == keytype.HMAC {
		resp.Data[fKeySize.Name] = lifecycle.TypesOf(&v.Key).ActiveSize()
	}
	if _, set := lifecycle.TypesOf(&v.Key).Active().Shown(); set != "" {
		resp.Data[fParameterSet.Name] = set
	}
	if v.Unread != nil {
		resp.AddWarning("the operation is done; what else keys/" + v.Key.Name + " shows cannot be read: " + v.Unread.Error())
	}
	if v.Fault != nil {
		resp.AddWarning("the key has strict terms, and nothing rotates it by itself: " + v.Fault.Error())
	}
	if v.Pending {
		resp.AddWarning("the new state is in force, and material of the key may still be where it was: a tick moves or erases it, and material_pending on its versions says when that is done")
	}
	return resp
}

// changeKey is the handler of a change that answers with the key.
func changeKey(change func(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error)) handler {
	return func(ctx context.Context, c *request) (*logical.Response, error) {
		pre, err := precondition(c)
		if err != nil {
			return nil, err
		}
		view, err := change(ctx, c, pre)
		if err != nil {
			return nil, err
		}
		return showKey(view), nil
	}
}

// publicVersion is how Transit shows a version with a public half.
type publicVersion struct {
	Name             string    `json:"name"`
	PublicKey        string    `json:"public_key"`
	CertificateChain string    `json:"certificate_chain"`
	CreationTime     time.Time `json:"creation_time"`
	Type             string    `json:"type,omitempty"`    // where the types of versions differ
	HybridPublicKey  string    `json:"hybrid_public_key"` // of types that are Enterprise's
}

// shownVersions are the versions of a key in Transit's form.
func shownVersions(v engine.View) any {
	many := lifecycle.TypesOf(&v.Key).Differ()
	if !many && !v.Key.Type.IsAsymmetric() {
		return creationTimes(v.Dates)
	}
	out := make(map[string]publicVersion, len(v.Dates))
	for n, at := range v.Dates {
		t := lifecycle.TypesOf(&v.Key).Of(n)
		one := publicVersion{Name: t.VersionName(), PublicKey: v.PublicKeys[n], CertificateChain: v.Chains[n], CreationTime: at}
		if many {
			one.Type = string(t)
		}
		out[strconv.Itoa(n)] = one
	}
	return out
}

func creationTimes(dates map[int]time.Time) map[string]int64 {
	out := make(map[string]int64, len(dates))
	for n, at := range dates {
		out[strconv.Itoa(n)] = at.Unix()
	}
	return out
}

// labelsOf shows no labels as an empty object.
func labelsOf(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}
