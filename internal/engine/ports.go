// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Storage is what one request needs of the mount beside the data plane. All of it is safe for concurrent use. After an
// error of a writing method the outcome is unknown until it is read again.
type Storage struct {
	Keys     KeyStore
	System   KeyStore // the same keys: custody names nobody for what is done with it
	Versions VersionStore
	Material MaterialStore
	Moves    RelocationStore
	Policies PolicyStore
	Settings SettingsStore
	Sealed   SealedStore
	Rewraps  RewrapStore
	Objects  ObjectStore
	Token    TokenKeys
	Signing  SigningKeys // nil: there are none

	Caller    Caller
	Approvals ApprovalStore
	Reviews   ReviewStore
	Approvers ApproverStore
	Directory Directory
}

// KeyStore stores key records.
type KeyStore interface {
	// Key returns the committed key or refusal.ErrNotFound.
	Key(ctx context.Context, name string) (lifecycle.Key, error)
	// KeyNames returns all names in alphabetical order.
	KeyNames(ctx context.Context) ([]string, error)
	// CreateKey commits a new key with its first version, or a restored one with all of them, or returns refusal.ErrExists.
	CreateKey(ctx context.Context, c lifecycle.Commit) error
	// UpdateKey commits what act makes of the key, while no other writer of the key runs. An error of act comes back
	// as it is and nothing is written. The error is refusal.ErrRepeated, beside the key as it is, for a request that
	// was carried out already. Where the error of act has the methods Prepare and Overtaken, Prepare is called while other
	// writers may run, and act again: about the same key if none did, else about the key as it is then, and Overtaken before.
	UpdateKey(ctx context.Context, name string, act func(lifecycle.Key) (lifecycle.Commit, error)) (lifecycle.Key, error)
	// DeleteKey commits the deletion of the key, if allow agrees. FinishErasure is to erase what is left of it.
	DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error)
	FinishErasure(ctx context.Context, name string) error
	// Deleted returns the id and the revision of the key that was deleted last under a name of which there is no key now; no id:
	// custody does not say.
	Deleted(ctx context.Context, name string) (keyID string, revision int, err error)
}

// VersionStore reads what was committed with key records.
type VersionStore interface {
	Version(ctx context.Context, name string, n int) (lifecycle.Version, error)
	// IsStored reports whether a version of the key is stored under the number, committed or not.
	IsStored(ctx context.Context, k lifecycle.Key, n int) (bool, error)
	// Dates returns when the versions from..latest were made.
	Dates(ctx context.Context, k lifecycle.Key, from int) (map[int]time.Time, error)
	// CertificateChain returns the chain of that digest, which a version of the key has, in DER.
	CertificateChain(ctx context.Context, name, digest string) ([][]byte, error)
}

// RelocationStore keeps which material has to move.
type RelocationStore interface {
	// Displaced returns the versions of the key whose material may be in the wrong place; zero: none.
	Displaced(ctx context.Context, k lifecycle.Key) (lifecycle.Range, error)
	// Relocate calls place for some of these, while no writer of the key runs; left: there are more. Place is prepared and
	// called again as an act is, see [KeyStore].UpdateKey.
	Relocate(ctx context.Context, name string, place func(k lifecycle.Key, n int) error) (left bool, err error)
}

// MaterialStore keeps the material of versions, in use and in the archive.
type MaterialStore interface {
	Archived(ctx context.Context, name string, n int) (lifecycle.Version, error)
	PutArchived(ctx context.Context, name string, v lifecycle.Version) error
	DropArchived(ctx context.Context, name string, n int) error
	PutVersion(ctx context.Context, name string, v lifecycle.Version) error
}

// PolicyStore stores policy revisions.
type PolicyStore interface {
	// Policy returns the revision in force, refusal.ErrNotFound or refusal.ErrUnreadable. Any other error is of storage.
	Policy(ctx context.Context, name string) (policy.Policy, error)
	// Revisions returns how many the policy has had, also where the one in force cannot be read.
	Revisions(ctx context.Context, name string) (int, error)
	PolicyRevision(ctx context.Context, name string, n int) (policy.Policy, error)
	PolicyNames(ctx context.Context) ([]string, error)
	// PutPolicy commits what revise makes of the policy, or of policy.Unreadable; current is nil for a new one. The error is
	// refusal.ErrRepeated, beside the policy as it is, for a request that was carried out already.
	PutPolicy(ctx context.Context, name string,
		revise func(current *policy.Policy) (policy.Policy, lifecycle.Event, error)) (policy.Policy, error)
	// DeletePolicy deletes a policy if allow agrees, with the event that it returns, and used to each use of it that is found; none begins meanwhile.
	DeletePolicy(ctx context.Context, name string, event lifecycle.Event,
		allow func(policy.Policy, lifecycle.Event) (lifecycle.Event, error), used func(policy.Use) error) error
	// BoundKeys returns the keys that may be bound to the policy; each key's record says whether it is.
	BoundKeys(ctx context.Context, policy string) ([]string, error)
}

// SettingsStore stores those of the mount, and what the clock guard remembers.
type SettingsStore interface {
	Clock(ctx context.Context) (lifecycle.Clock, error)
	Governance(ctx context.Context) (policy.Governance, error)
	// SetGovernance commits what change makes of it. The error is that of the policy that is to be the default.
	SetGovernance(ctx context.Context,
		change func(policy.Governance) (policy.Governance, lifecycle.Event, error)) (policy.Governance, error)
	KeysSettings(ctx context.Context) (lifecycle.KeysSettings, error)
	// SetKeysSettings commits what change makes of them, or returns its error and writes nothing.
	SetKeysSettings(ctx context.Context,
		change func(lifecycle.KeysSettings) (lifecycle.KeysSettings, lifecycle.Event, error)) (lifecycle.KeysSettings, error)
	// SetCacheSize commits it with an event that is made from what it was; where it is set already nothing is done.
	SetCacheSize(ctx context.Context, size int, event func(was int) lifecycle.Event) error
	// AcknowledgeClock commits what the clock guard is to believe, with the event, or returns its error and writes nothing.
	AcknowledgeClock(ctx context.Context, c lifecycle.Clock, event func() (lifecycle.Event, error)) error
}

// SealedStore walks the sealed material of all versions at a place, whatever keys there are.
type SealedStore interface {
	// SealedKeys returns the names under which something is stored, in alphabetical order.
	SealedKeys(ctx context.Context, at lifecycle.MaterialLocation) ([]string, error)
	// SealedVersions returns the numbers under which something is stored of a key, committed or not, the oldest first.
	SealedVersions(ctx context.Context, at lifecycle.MaterialLocation, name string) ([]int, error)
	// SealedVersion returns what is stored, or refusal.ErrNotFound.
	SealedVersion(ctx context.Context, at lifecycle.MaterialLocation, name string, n int) (lifecycle.Version, error)
	// ReplaceSealed puts sealed in the place of was, if that is what is stored, while no writer of the key runs.
	ReplaceSealed(ctx context.Context, at lifecycle.MaterialLocation, name string, was lifecycle.Version, sealed []byte) (replaced bool, err error)
}

// SigningKeys are those that sign custody's checkpoints. They are wrapped as the material in use is.
type SigningKeys interface {
	// SigningReferences counts those that only kek opens. The error is of what does not tell.
	SigningReferences(ctx context.Context, w envelope.KEKWrapper, kek [16]byte) (n int, err error)
	// RewrapSigningKeys wraps them with the active key encryption key, where it finds another, or none.
	RewrapSigningKeys(ctx context.Context, w envelope.KEKWrapper, instance string) (found, done int, err error)
}

// RewrapStore keeps which material has to be wrapped anew.
type RewrapStore interface {
	// PendingRewraps returns the purposes of which not all material may be wrapped with the active key encryption key.
	PendingRewraps(ctx context.Context) ([]string, error)
	// BeginRewrap notes that kek is to become the active key encryption key of a purpose.
	BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error
}

// ObjectStore keeps which keys on the token may belong to no version.
type ObjectStore interface {
	// PendingObjects returns the ids of these keys.
	PendingObjects(ctx context.Context) ([]string, error)
	// PutObject notes one, before it is made.
	PutObject(ctx context.Context, o lifecycle.Object) error
	// GiveUpObject finds out whether a key is to be destroyed, while no writer of its version's key runs. One that a version has
	// is dropped, one that was noted after the time is left alone, and any other can be committed by no act any more.
	GiveUpObject(ctx context.Context, id string, after time.Time) (o lifecycle.Object, destroy bool, err error)
	// DropObject notes that a key belongs to a version, or is gone.
	DropObject(ctx context.Context, id string) error
}

// TokenKeys makes and destroys keys that stay on the token. The error is envelope.ErrUnsupported where the token cannot hold
// such a key, or there is no token, and envelope.ErrUnavailable where nobody can tell at the moment.
type TokenKeys interface {
	// CheckKey asks the token whether it can hold the key of a version. Nothing is made.
	CheckKey(ctx context.Context, wanted envelope.TokenKey) error
	// DrawKey describes the key of a version; id is its CKA_ID in hex. Nothing is made yet, and the token is not asked.
	DrawKey(ctx context.Context, wanted envelope.TokenKey) (id string, description []byte, err error)
	// GenerateKey makes it. The public half is that of a pair. After an error it may be there.
	GenerateKey(ctx context.Context, description []byte) (reference, public []byte, err error)
	// DestroyKey destroys it. That it is gone already is no error.
	DestroyKey(ctx context.Context, id, keyID string, version int) error
}
