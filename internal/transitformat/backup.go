// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package transitformat reads and writes the backups of Vault Transit. It does no I/O: it turns a key and the material of its versions
// into the text that either engine restores, and back. What Transit does not know of a key stands beside its own members, where it
// looks at nothing.
//
//	base64({"policy":{"name":…,"type":0,"keys":{"2":{…}},"latest_version":2,…},"archived_keys":{"keys":[{},{…},{…}]},"keylife":{…}})
//
// policy.keys holds the versions from min_decryption_version on, archived_keys all that were not trimmed: version n stands at n less
// min_available_version, and slot 0 is empty where nothing was trimmed.
package transitformat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/hashicorp/vault/sdk/helper/keysutil"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Backup is a key with the material of its versions.
type Backup struct {
	Key      lifecycle.Key
	Versions map[int]Version // from the oldest that was not trimmed on
}

// Version is one of them. The zero Material is that of one that was destroyed.
type Version struct {
	Created  time.Time
	Material envelope.Material
}

// Wipe zeroes the material.
func (b Backup) Wipe() {
	for _, v := range b.Versions {
		v.Material.Wipe()
	}
}

// document is the JSON. It is [keysutil.KeyData] with a member of ours.
type document struct {
	Policy       *keysutil.Policy `json:"policy"`
	ArchivedKeys *archive         `json:"archived_keys"`
	Ours         *extension       `json:"keylife,omitempty"`
	ManyTypes    *keysutil.Policy `json:"policy_of_many_types,omitempty"`
}

// document hides the policy of a key whose versions differ in type from Transit, which has one type a key: it refuses a document
// without a policy, and would restore versions that open nothing.
func (b Backup) document(p *keysutil.Policy, all *archive) document {
	if lifecycle.TypesOf(&b.Key).Differ() {
		return document{ArchivedKeys: all, Ours: b.extension(), ManyTypes: p}
	}
	return document{Policy: p, ArchivedKeys: all, Ours: b.extension()}
}

type archive struct {
	Keys []keysutil.KeyEntry `json:"keys"`
}

// convergentVersion is the only scheme of convergent keys that is not of old.
const convergentVersion = 3

// Write returns the backup that Transit, too, restores, unless the versions of the key differ in type.
func (b Backup) Write(at time.Time) (string, error) {
	k := b.Key
	kind, err := transitType(k)
	if err != nil {
		return "", err
	}
	p := &keysutil.Policy{
		Name: k.Name, Type: kind, KeySize: k.Size, Derived: k.Derived, ConvergentEncryption: k.Convergent, Exportable: k.Exportable,
		AllowPlaintextBackup: k.AllowPlaintextBackup, DeletionAllowed: k.DeletionAllowed, AutoRotatePeriod: k.AutoRotatePeriod,
		MinDecryptionVersion: max(k.MinDecryption, 1), MinEncryptionVersion: k.MinEncryption, MinAvailableVersion: k.MinAvailable,
		LatestVersion: k.Latest, ArchiveVersion: k.Latest, ArchiveMinVersion: k.MinAvailable,
		BackupInfo: &keysutil.BackupInfo{Time: at, Version: k.Latest}, Keys: map[string]keysutil.KeyEntry{},
	}
	if k.Derived {
		p.KDF = keysutil.Kdf_hkdf_sha256
	}
	if k.Convergent {
		p.ConvergentVersion = -1
	}
	all := &archive{Keys: make([]keysutil.KeyEntry, k.Latest-k.MinAvailable+1)}
	for n := max(k.MinAvailable, 1); n <= k.Latest; n++ {
		entry, err := b.entry(n)
		if err != nil {
			return "", fmt.Errorf("back up version %d: %w", n, err)
		}
		all.Keys[n-k.MinAvailable] = entry
		if n >= p.MinDecryptionVersion {
			p.Keys[strconv.Itoa(n)] = entry
		}
	}
	text, err := json.Marshal(b.document(p, all))
	if err != nil {
		return "", fmt.Errorf("back up key %q: %w", k.Name, err)
	}
	defer clear(text)
	return base64.StdEncoding.EncodeToString(text), nil
}

func (b Backup) entry(n int) (e keysutil.KeyEntry, err error) {
	v := b.Versions[n]
	if v.exists() {
		if e, err = envelope.Algorithm(lifecycle.TypesOf(&b.Key).Of(n)).Entry(v.Material); err != nil {
			return e, err
		}
		if b.Key.Convergent {
			e.ConvergentVersion = convergentVersion
		}
	}
	e.CreationTime, e.DeprecatedCreationTime = v.Created.UTC(), v.Created.Unix()
	return e, nil
}

func (v Version) exists() bool {
	key, _ := v.Material.Reveal()
	return len(key) > 0 || v.Material.Public() != nil
}

// Read returns the key of a backup, and draws from rand what Transit had not given every version yet. The key has no identity, and
// is as the backup says, which nothing is trusted of. The error is [refusal.ErrInvalid], and [refusal.ErrAsFault] where the backup
// is none.
func Read(text string, rand io.Reader) (b Backup, err error) {
	d, err := parse(text)
	if err != nil {
		return b, err
	}
	if b.Key, err = d.key(); err != nil {
		return b, err
	}
	entries, err := d.entries()
	if err != nil {
		return b, err
	}
	b.Versions = make(map[int]Version, len(entries))
	defer func() {
		if err != nil {
			b.Wipe()
			b = Backup{}
		}
	}()
	for n, e := range entries {
		v := Version{Created: createdAt(e)}
		v.Material, err = d.material(b.Key, n, e, rand)
		if err != nil && !b.Key.IsDestroyed(n) {
			return b, refusal.Invalidf("backup: version %d: %v", n, err)
		}
		b.Versions[n] = v
	}
	return b, d.Ours.checkFingerprints(b.Versions)
}

func createdAt(e keysutil.KeyEntry) time.Time {
	if e.CreationTime.IsZero() && e.DeprecatedCreationTime > 0 {
		return time.Unix(e.DeprecatedCreationTime, 0).UTC()
	}
	return e.CreationTime.UTC()
}

// material reads that of a version, if it works here as it did there.
func (d document) material(k lifecycle.Key, n int, e keysutil.KeyEntry, rand io.Reader) (m envelope.Material, err error) {
	if k.Convergent {
		scheme := d.Policy.ConvergentVersion
		if e.ConvergentVersion != 0 {
			scheme = e.ConvergentVersion
		}
		if scheme != convergentVersion {
			return m, fmt.Errorf("convergent_version is %d: keys of the schemes before %d are not restored", scheme, convergentVersion)
		}
	}
	return envelope.Algorithm(lifecycle.TypesOf(&k).Of(n)).FromEntry(e, lifecycle.TypesOf(&k).SizeOf(n), rand)
}
