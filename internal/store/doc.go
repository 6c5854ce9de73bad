// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package store keeps keys, versions and policies in a Vault mount's storage. It is the only place that reads or
// writes storage, and translates between records and [lifecycle] values; it decides nothing about keys and knows no
// cryptography.
//
// Layout (secret entries are seal-wrapped, see [SealWrapped]):
//
//	keys/<name>              the key record; one Put of it is the commit point of every act
//	versions/<name>/<n>      one version: sealed material, dates                         (secret)
//	archive/<name>/<n>       the material of an archived version, under its own key      (secret)
//	journal/<name>/<seq>     custody records, never rewritten or deleted
//	denied/<name>/<page>     denied uses of pageSize versions
//	access/<shard>           what entities did with which keys
//	usage/<name>             denied uses of all versions, as earlier builds wrote them
//	leases/<name>/<n>        how much of a version was leased to be encrypted with, what it was used for
//	dates/<name>/<page>      creation times of pageSize versions, written once when full
//	certificates/<name>/<digest> a certificate chain of a version
//	policies/<name>          the policy's revision in force
//	revisions/<name>/<n>     every revision of a policy, immutable
//	bound/<policy>/<name>    which keys may be bound to a policy
//	schedule/<minute>/<name> which keys are to be looked at, and when
//	alerts/<status>/<minute>-<name> which keys are retrying, stalled, overdue, stopped or ending, and since when
//	intents/<kind>/<name>    an act of several writes that has begun; replayed until done
//	reviews/<id>             an act by break-glass, and what others say of it
//	config/keys, config/engine, config/cache  settings
//	config/approvals                      the settings of the mount about consent
//	config/approvers                      who has enrolled as an approver
//	config/clock                          what the clock guard remembers
//	config/census                         how many keys and versions there are, as a tick counted them
//	config/barrier                        says nothing; see write.go
//	config/kek, config/archive-kek        the mount's key encryption keys                (secret)
//	config/custody                        the keys that sign checkpoints                 (secret)
//	config/hsm                            the mount's token: how it is reached, its PIN  (secret)
//	config/keks                           the key encryption keys that are on tokens
//
// Rules that make a crash at any write harmless:
//   - what a record refers to is written before the record, what it no longer refers to is deleted after it;
//   - schedule, alerts, bound and a version above the record's latest are caches and orphans: the record is the truth;
//   - an act that needs more than one deletion writes an intent first and is replayed from it.
//
// Writes outlive their requests, and an act that fails finds out what became of it (write.go, [Keys.UpdateKey]). Where the
// storage does not tell, the outcome is unknown: the caller must forget what it cached of the key.
package store
