// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"strconv"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

// viewFields describes a key as it is shown: Transit's fields, and ours behind them.
var viewFields = fields(
	fName, fType, fDerived, fConvergent, fExportable, fPlaintextBackup, fAutoRotatePeriod, fPolicy, fOwner, fLabels,
	fDeletionAllowed, fMinDecryption, fMinEncryption,
	newField[int]("min_available_version", framework.TypeInt, "Versions below do not exist any more. 0: all exist."),
	newField[int]("latest_version", framework.TypeInt, "Number of the newest version."),
	newField[bool]("supports_encryption", framework.TypeBool, "The key encrypts."),
	newField[bool]("supports_decryption", framework.TypeBool, "The key decrypts."),
	newField[bool]("supports_signing", framework.TypeBool, "The key signs."),
	newField[bool]("supports_derivation", framework.TypeBool, "The key can derive a key for each context."),
	newField[bool]("imported_key", framework.TypeBool, "The key was made elsewhere."),
	newField[string]("kdf", framework.TypeString, "Key derivation function of derived keys."),
	newField[int]("convergent_encryption_version", framework.TypeInt, "Scheme of convergent keys; -1: each version says its own."),
	newField[map[string]any]("keys", framework.TypeMap, "Versions from min_decryption_version on, whatever their state: number to time of creation in Unix seconds."),
	newField[string]("state", framework.TypeString, "enabled, suspended, archived, retired or destroyed: of the key as a whole."),
	newField[bool]("legal_hold", framework.TypeBool, "Nothing of the key is retired, destroyed or deleted."),
	newField[int]("primary_version", framework.TypeInt, "The active version. 0: none."),
	newField[int]("staged_version", framework.TypeInt, "The pre-active version. 0: none."),
	newField[string]("destroy_time", framework.TypeString, "When the retired key is destroyed, RFC 3339; empty: it is not retired."),
	newField[bool]("soft_deleted", framework.TypeBool, "The key is suspended."),
	newField[int]("revision", framework.TypeInt, "Grows by one with every change; what cas is compared with."),
	newField[string]("next_rotation_time", framework.TypeString, "When the key is, or was, due for rotation, RFC 3339; empty: never by itself."),
	newField[string]("rotation_status", framework.TypeString, "none, scheduled, due, overdue, retrying, stalled or stopped; see keys/:name/rotation."),
)

// viewResponse renders a key as Transit does, with our fields beside Transit's.
func viewResponse(v engine.View) *logical.Response {
	k := v.Key
	data := map[string]any{
		"name":                   k.Name,
		"type":                   string(k.Type),
		"derived":                k.Derived,
		"deletion_allowed":       k.DeletionAllowed,
		"min_available_version":  k.MinAvailable,
		"min_decryption_version": k.MinDecryption,
		"min_encryption_version": k.MinEncryption,
		"latest_version":         k.Latest,
		"exportable":             k.Exportable,
		"allow_plaintext_backup": k.AllowPlaintextBackup,
		"supports_encryption":    k.Type.SupportsEncryption(),
		"supports_decryption":    k.Type.SupportsEncryption(),
		"supports_signing":       k.Type.SupportsSigning(),
		"supports_derivation":    k.Type.SupportsDerivation(),
		"auto_rotate_period":     int64(k.AutoRotatePeriod.Seconds()),
		"imported_key":           false,
		"keys":                   creationTimes(v.Dates),

		"policy":             k.Policy,
		"owner":              k.Owner,
		"labels":             labelsOf(k.Labels),
		"state":              k.Status.State.String(),
		"soft_deleted":       k.Status.Suspended(),
		"legal_hold":         k.Hold,
		"primary_version":    k.Primary,
		"staged_version":     k.Staged,
		"destroy_time":       timeText(k.Status.DestroyTime()),
		"revision":           k.Revision,
		"next_rotation_time": timeText(v.Plan.Next),
		"rotation_status":    string(v.Plan.Status),
	}
	if k.Derived {
		data["kdf"] = "hkdf_sha256"
		data["convergent_encryption"] = k.Convergent
	}
	if k.Convergent {
		data["convergent_encryption_version"] = -1
	}
	resp := &logical.Response{Data: data}
	if v.Unread != nil {
		resp.AddWarning("the operation is done; what else keys/" + k.Name + " shows cannot be read: " + v.Unread.Error())
	}
	if v.Fault != nil {
		resp.AddWarning("the key has strict terms, and nothing rotates it by itself: " + v.Fault.Error())
	}
	if v.Pending {
		resp.AddWarning("the new state is in force, and material of the key may still be where it was: a tick moves or erases it, and material_pending on its versions says when that is done")
	}
	return resp
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

// timeText renders a time, and none as the empty text.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
