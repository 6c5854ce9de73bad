// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package acts

// catalogue holds the acts by scope, in the order in which require_reason lists them.
var catalogue = []Act{
	{Name: Create, Scope: Key, KMIP: "Create", ReasonName: "create", Help: "Make a key with its first version."},
	{Name: Import, Scope: Key, Gate: "import", KMIP: "Import", ReasonName: "import", Help: "Make a key of material from elsewhere."},
	{Name: Rotate, Scope: Key, Gate: "rotate", KMIP: "Re-key", ReasonName: "rotate-manual", Clock: AlsoByClock, Help: "Make a new version of the key and encrypt with it from now on."},
	{Name: Configure, Scope: Key, Gate: "configure", MoreGates: []Gate{GateRebind}, KMIP: "Modify Attribute", ReasonName: "configure", Help: "Change the settings of a key."},
	{Name: Hold, Scope: Key, Gate: GateUnhold, ReasonName: "hold", Help: "Set or lift the legal hold of a key: under it nothing of the key is retired, destroyed or deleted."},
	{Name: Export, Scope: Key, Gate: "export", KMIP: "Get", ReasonName: "export", Help: "Give out material of versions in the clear: the record says which, never the material."},
	{Name: ExportWrapped, Scope: Key, Gate: "export", KMIP: "Get", ReasonName: "export", Help: "Give out material of versions, wrapped with an RSA key: the record says which, and for which key."},
	{Name: Backup, Scope: Key, Gate: "backup", KMIP: "Export", ReasonName: "backup", Help: "Give out a key with the material of all its versions in the clear, for Transit or keylife to restore."},
	{Name: RestoreBackup, Scope: Key, KMIP: "Import", ReasonName: "restore-backup", Help: "Make a key of a backup, with all versions that it has."},

	{
		Name: Import, Scope: Version, Gate: "import", KMIP: "Import", ReasonName: "import",
		Help: "Give an imported key a version of material from elsewhere, or a version its private half.",
	},
	{
		Name: Promote, Scope: Version, Gate: "promote", KMIP: "Activate", ReasonName: "promote", Clock: AlsoByClock,
		Help: "Make a staged version the active one; the active one is deactivated.",
	},
	{Name: Suspend, Scope: Version, ReasonName: "suspend", Emergency: true, Urgent: true, Help: "Stop a version for the time being."},
	{Name: Resume, Scope: Version, Gate: "resume", ReasonName: "resume", Urgent: true, Dated: true, Restores: true, Help: "Undo a suspension."},
	{
		Name: Archive, Scope: Version, Gate: "archive", KMIP: "Archive", ReasonName: "archive", Clock: AlsoByClock, Dated: true, Destroys: true,
		Help: "Take a deactivated version out of use: its material moves to the archive, uses are denied and counted.",
	},
	{
		Name: Recover, Scope: Version, Gate: "recover", KMIP: "Recover", ReasonName: "recover", Restores: true,
		Help: "Bring an archived version back, to decrypt. Of a compromised version that was out of use when it was reported: let it be rewrapped from, and decrypt as the policy says.",
	},
	{
		Name: Retire, Scope: Version, Gate: "retire", ReasonName: "retire", Clock: AlsoByClock, Dated: true, Destroys: true,
		Help: "Schedule the destruction of a version, after the destroy delay.",
	},
	{Name: Restore, Scope: Version, Gate: "restore", ReasonName: "restore", Dated: true, Restores: true, Help: "Undo a retirement, before the version is destroyed."},
	{
		Name: Compromise, Scope: Version, KMIP: "Revoke", ReasonName: "compromise", Emergency: true, Urgent: true, Dated: true,
		Help: "Report a version as compromised. An active one is replaced at once.",
	},
	{Name: Lapse, Scope: Version, Clock: OnlyByClock, Help: "End the originator-usage period of the active version: it protects no longer, and there is no successor."},
	{Name: Destroy, Scope: Version, KMIP: "Destroy", Clock: OnlyByClock, Destroys: true, Help: "Erase the material of a retired version when its time has come."},
	{Name: SetCertificate, Scope: Version, KMIP: "Certify", Help: "Give a version the certificate of its public half."},

	{
		Name: Rollback, Scope: Key, Gate: "rollback", ReasonName: "rollback", Dated: true, Restores: true,
		Help: "Make the version before the active one active again, inside the rollback window.",
	},
	{
		Name: Suspend, Scope: Key, ReasonName: "suspend", Emergency: true, Urgent: true,
		Help: "Stop a whole key for the time being: from the next request on, no version of it is used.",
	},
	{Name: Resume, Scope: Key, Gate: "resume", ReasonName: "resume", Urgent: true, Dated: true, Restores: true, Help: "Undo the suspension of a key."},
	{
		Name: Archive, Scope: Key, Gate: "archive", KMIP: "Archive", ReasonName: "archive", Dated: true, Destroys: true,
		Help: "Take a whole key out of use: its material moves to the archive, it does not rotate.",
	},
	{Name: Recover, Scope: Key, Gate: "recover", KMIP: "Recover", ReasonName: "recover", Restores: true, Help: "Bring an archived key back."},
	{
		Name: Retire, Scope: Key, Gate: "retire", ReasonName: "retire", Dated: true, Destroys: true,
		Help: "Schedule the destruction of an archived key, after the destroy delay.",
	},
	{Name: Restore, Scope: Key, Gate: "restore", ReasonName: "restore", Dated: true, Restores: true, Help: "Undo the retirement of a key, before it is destroyed."},
	{Name: Destroy, Scope: Key, KMIP: "Destroy", Clock: OnlyByClock, Destroys: true, Help: "Erase the material of a retired key when its time has come."},
	{
		Name: ErasePrivate, Scope: Key, KMIP: "Destroy", Clock: OnlyByClock, Destroys: true,
		Help: "Erase the private halves of versions that sign never again; they verify as before.",
	},
	{
		Name: Trim, Scope: Key, KMIP: "Destroy", Destroys: true,
		Help: "Destroy the oldest versions of a key without a policy at once, as in Transit: min_available_version must not be above min_decryption_version and min_encryption_version, which both have to be set.",
	},
	{Name: Drill, Scope: Key, Help: "Rehearse the report of a compromise: what would follow, what is affected and what would hold it up. Nothing changes."},
	{Name: Delete, Scope: Key, KMIP: "Destroy", Destroys: true, Help: "Delete a key with all of its versions."},

	{Name: Write, Scope: Policy, Gate: GatePolicy, Help: "Write a revision of a policy."},
	{Name: Delete, Scope: Policy, Gate: GatePolicy, Help: "Delete a policy that no key is bound to."},

	{Name: ConfigureEngine, Scope: Mount, Gate: GateConfig, Help: "Change how the keys of the mount come under a policy."},
	{Name: AccessReview, Scope: Mount, Help: "Say that somebody has reviewed who uses which keys."},
	{Name: ConfigureKeys, Scope: Mount, Gate: GateConfig, Help: "Allow or forbid that encrypting makes a missing key."},
	{Name: ConfigureCache, Scope: Mount, Help: "Say how many versions of keys are kept in memory."},
	{Name: ConfigureApprovals, Scope: Mount, Gate: GateApprovals, Help: "Change whose consent acts on the mount need, and who counts as an approver."},
	{Name: Enrol, Scope: Mount, Gate: GateEnrol, Help: "Accept the duties of an approver, for the first time or anew: the record says whose, and the digest of their text."},
	{Name: Unenrol, Scope: Mount, Gate: GateEnrol, Help: "Be an approver no longer, or say so of somebody."},
	{Name: AcknowledgeClock, Scope: Mount, Gate: GateClock, Help: "Say that the clock is right, so that the clock guard lets destruction go on."},
	{Name: RotateSigningKey, Scope: Mount, Gate: GateCustodyKey, Help: "Make a new key for checkpoints, signed by the old one."},
	{Name: ConfigureHSM, Scope: Mount, Gate: GateConfig, Help: "Say which token wraps the material of the mount, and how it is reached."},
	{Name: DeleteHSM, Scope: Mount, Gate: GateConfig, Help: "Take the token away from the mount, of which nothing is wrapped by it any more."},
	{Name: CreateKEK, Scope: Mount, KMIP: "Create", Clock: AlsoByClock, Help: "Make the first key encryption keys on the token, and wrap with them from now on."},
	{Name: RotateKEK, Scope: Mount, KMIP: "Re-key", Clock: AlsoByClock, Help: "Make a new key encryption key on the token; the one before only unwraps from now on."},
	{Name: RetireKEK, Scope: Mount, Help: "Give up a key encryption key by which nothing is wrapped any more."},
	{Name: DestroyKEK, Scope: Mount, Gate: GateKEKDestroy, KMIP: "Destroy", Destroys: true, Help: "Destroy a retired key encryption key on the token: what older copies of the storage hold under it is lost."},

	{Name: RequestApproval, Scope: Request, Help: "Ask for the consent that a rule demands."},
	{Name: Approve, Scope: Request, Help: "Consent to what somebody asks for."},
	{Name: Deny, Scope: Request, Help: "Refuse consent: the request has ended."},
	{Name: Withdraw, Scope: Request, Help: "Take a request back."},

	{Name: CloseReview, Scope: Review, Help: "Say of an act by break-glass whether it was justified."},
}
