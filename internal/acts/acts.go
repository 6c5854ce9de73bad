// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package acts is the catalogue of what can be done to versions, keys, policies and the mount: one row an act. API paths,
// reasons, custody records, help texts and documentation read their facts about an act here. The package decides nothing:
// which act is possible in which state is in internal/lifecycle, and who may ask for it is Vault's to say.
package acts

import "slices"

// Name is what an act is called in the API, in custody records and in require_reason.
type Name string

// The acts. A name may be an act on several scopes.
const (
	Create    Name = "create"
	Rotate    Name = "rotate"
	Configure Name = "configure"
	Hold      Name = "hold"
	Trim      Name = "trim"
	Export    Name = "export" // of material, in the clear
	Backup    Name = "backup" // of all of it, in the clear

	ExportWrapped  Name = "export-wrapped" // of material, for another key to open
	RestoreBackup  Name = "restore-backup"
	Delete         Name = "delete"
	Import         Name = "import" // a key, a version, or the private half of a version
	SetCertificate Name = "set-certificate"

	Promote    Name = "promote"
	Rollback   Name = "rollback"
	Lapse      Name = "lapse" // the originator-usage period has ended: protects no longer, without a successor
	Suspend    Name = "suspend"
	Resume     Name = "resume"
	Archive    Name = "archive"
	Recover    Name = "recover"
	Retire     Name = "retire"
	Restore    Name = "restore"
	Destroy    Name = "destroy"
	Compromise Name = "compromise"

	Drill Name = "drill" // of a compromise: nothing happens, and that it was done is kept

	ErasePrivate Name = "erase-private" // what only signs, and will not again, keeps its public half alone

	Write              Name = "write" // of a policy: a revision
	ConfigureEngine    Name = "configure-engine"
	AccessReview       Name = "access-review"
	ConfigureKeys      Name = "configure-keys"
	ConfigureCache     Name = "configure-cache"
	AcknowledgeClock   Name = "acknowledge-clock"
	RotateSigningKey   Name = "rotate-signing-key"
	ConfigureApprovals Name = "configure-approvals"
	Enrol              Name = "enrol"
	Unenrol            Name = "unenrol"
	ConfigureHSM       Name = "configure-hsm"
	DeleteHSM          Name = "delete-hsm"
	CreateKEK          Name = "create-kek"
	RotateKEK          Name = "rotate-kek"
	RetireKEK          Name = "retire-kek"
	DestroyKEK         Name = "destroy-kek"

	RequestApproval Name = "approval-request"
	Approve         Name = "approve"
	Deny            Name = "deny"
	Withdraw        Name = "withdraw"
	CloseReview     Name = "close-review"
)

// Scope is what an act is done to.
type Scope string

// The scopes.
const (
	Version Scope = "version"
	Key     Scope = "key"
	Policy  Scope = "policy"
	Request Scope = "approval" // a request for consent, in the chain of what it is about
	Review  Scope = "review"   // of an act by break-glass, in the chain of what that was done to
	Mount   Scope = "mount"
)

// Act is one row of the catalogue.
type Act struct {
	Name  Name
	Scope Scope
	KMIP  string // the operation of KMIP 2.1, section 6.1, that comes nearest; empty: it has none
	Help  string // one sentence

	ReasonName string // what require_reason calls it; empty: no policy can demand a reason
	Gate       Gate   // what rules of consent call it; empty: none can hold it back
	MoreGates  []Gate // that parts of the act pass

	Clock     Clock
	Emergency bool // it only takes away, and goes on where what else is to be asked cannot be
	Urgent    bool // an emergency, or the end of one: no bound on the record holds it back, and nothing damaged beside it
	Dated     bool // it begins a period or is bound to one, so that a wrong clock does harm
	Restores  bool // it gives a capability back
	Destroys  bool // it makes material unreadable for good, or leads there
}

// Gate is what a rule that asks for consent calls an act, or a part of one. Where two names are separate gates of one act
// (configure, rebind, recover), what the act changes says which of them it passes.
type Gate string

// The gates that are no names of acts.
const (
	GateImport     Gate = "import"      // a key, or a version, made elsewhere; also one of a backup
	GateRecover    Gate = "recover"     // also: min_decryption_version is lowered
	GateConfigure  Gate = "configure"   // a key may be deleted, exported or backed up from now on
	GateExport     Gate = "export"      // material leaves, in the clear or wrapped
	GateBackup     Gate = "backup"      // all of a key leaves
	GateUnhold     Gate = "unhold"      // a legal hold is lifted
	GateRebind     Gate = "rebind"      // a key comes under a looser policy, or under none
	GatePolicy     Gate = "policy"      // a policy becomes looser, or goes
	GateConfig     Gate = "config"      // settings of the mount
	GateClock      Gate = "clock"       // the clock guard is told to believe the clock
	GateCustodyKey Gate = "custody-key" // another key signs checkpoints
	GateKEKDestroy Gate = "kek-destroy" // a key encryption key is destroyed
	GateEnrol      Gate = "enrol"       // somebody becomes an approver, or ceases to be one
	GateApprovals  Gate = "approvals"   // the rules of the mount
)

// Clock says whether the clock does an act.
type Clock int

// What the clock may do.
const (
	NotByClock Clock = iota
	AlsoByClock
	OnlyByClock
)

// Of returns the row of an act on a scope.
func Of(scope Scope, name Name) (Act, bool) {
	i := slices.IndexFunc(catalogue, func(a Act) bool { return a.Scope == scope && a.Name == name })
	if i < 0 {
		return Act{}, false
	}
	return catalogue[i], true
}

// On returns the acts on a scope, in the order of the catalogue.
func On(scope Scope) []Act {
	return slices.DeleteFunc(slices.Clone(catalogue), func(a Act) bool { return a.Scope != scope })
}

// All returns the catalogue.
func All() []Act { return slices.Clone(catalogue) }

// OnlyByClock reports an act that nobody can ask for.
func (n Name) OnlyByClock() bool { return n.any(func(a Act) bool { return a.Clock == OnlyByClock }) }

// ByClock reports an act that the clock does, too.
func (n Name) ByClock() bool { return n.any(func(a Act) bool { return a.Clock != NotByClock }) }

// Emergency reports an act that only takes away: it goes on where what else is to be asked cannot be.
func (n Name) Emergency() bool { return n.any(func(a Act) bool { return a.Emergency }) }

// Urgent reports an emergency, or the end of one: no bound on a record holds it back, and nothing damaged beside it.
func (n Name) Urgent() bool { return n.any(func(a Act) bool { return a.Urgent }) }

// Dated reports an act that begins a period or is bound to one, so that a wrong clock does harm.
func (n Name) Dated() bool { return n.any(func(a Act) bool { return a.Dated }) }

// Destroys reports an act that makes material unreadable for good, or leads there.
func (n Name) Destroys() bool { return n.any(func(a Act) bool { return a.Destroys }) }

// Reason returns what require_reason calls the act; empty: no policy can demand a reason for it.
func (n Name) Reason() (name string) {
	n.any(func(a Act) bool { name = a.ReasonName; return name != "" })
	return name
}

// Gates returns what rules of consent may name: of a policy those of acts on keys, versions and policies, of the mount those of
// acts on the mount. Each comes once, in the order of the catalogue.
func Gates(scopes ...Scope) (gates []Gate) {
	for _, a := range catalogue {
		for _, gate := range append([]Gate{a.Gate}, a.MoreGates...) {
			if gate != "" && slices.Contains(scopes, a.Scope) && !slices.Contains(gates, gate) {
				gates = append(gates, gate)
			}
		}
	}
	return gates
}

// any asks the rows of an act. The facts about it are the same on all scopes.
func (n Name) any(claim func(Act) bool) bool {
	return slices.ContainsFunc(catalogue, func(a Act) bool { return a.Name == n && claim(a) })
}

// Reasons returns what require_reason may name, each once.
func Reasons() (names []string) {
	for _, a := range catalogue {
		if a.ReasonName != "" && !slices.Contains(names, a.ReasonName) {
			names = append(names, a.ReasonName)
		}
	}
	return names
}
