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
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	Chain    [][]byte // its certificate and those that vouch for it, DER, the leaf first; nil: it has none
}

// Wipe zeroes the material.
func (b Backup) Wipe() {
	for _, v := range b.Versions {
		v.Material.Wipe()
	}
}

// convergentVersion is the only scheme of convergent keys that is not of old.
const convergentVersion = 3

// Write returns the backup that Transit, too, restores, if it has keys of the type and all versions are of one.
func (b Backup) Write(at time.Time) (string, error) {
	k := b.Key
	p := &policy{Type: typeName(k.Type), Policy: keysutil.Policy{
		Name: k.Name, Imported: k.Imported, AllowImportedKeyRotation: k.AllowRotation, KeySize: k.Size, Derived: k.Derived, ConvergentEncryption: k.Convergent, Exportable: k.Exportable,
		AllowPlaintextBackup: k.AllowPlaintextBackup, DeletionAllowed: k.DeletionAllowed, AutoRotatePeriod: k.AutoRotatePeriod,
		MinDecryptionVersion: max(k.MinDecryption, 1), MinEncryptionVersion: k.MinEncryption, MinAvailableVersion: k.MinAvailable,
		LatestVersion: k.Latest, ArchiveVersion: k.Latest, ArchiveMinVersion: k.MinAvailable,
		BackupInfo: &keysutil.BackupInfo{Time: at, Version: k.Latest}, Keys: map[string]keysutil.KeyEntry{},
	}}
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
	e.CertificateChain = v.Chain
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
	for n := max(b.Key.MinAvailable, 1); n <= b.Key.Latest; n++ {
		if err := b.add(n, d, entries[n], rand); err != nil {
			b.Wipe()
			return Backup{}, refusal.Invalidf("backup: version %d: %v", n, err)
		}
	}
	if err := d.Ours.checkFingerprints(b.Versions); err != nil {
		b.Wipe()
		return Backup{}, err
	}
	return b, nil
}

// add reads a version, and what the key says of it.
func (b *Backup) add(n int, d document, e keysutil.KeyEntry, rand io.Reader) error {
	v := Version{Created: createdAt(e)}
	m, err := d.material(b.Key, n, e, rand)
	destroyed := b.Key.IsDestroyed(n)
	switch {
	case destroyed: // of which a public half may be left
		b.Versions[n] = Version{Created: v.Created, Material: m}
		return nil
	case err != nil:
		return err
	case !lifecycle.KeepsPrivate(b.Key, n):
		v.Material = m.WithoutPrivate()
		m.Wipe()
	default:
		v.Material = m
	}
	b.Versions[n] = v // to be wiped
	if lifecycle.KeepsPrivate(b.Key, n) && !v.Material.HasKey() {
		if b.Key.Derived {
			return errors.New("has no private half, of which keys are derived")
		}
		b.Key.PublicOnly = append(b.Key.PublicOnly, n)
	}
	if len(e.CertificateChain) == 0 {
		return nil
	}
	v.Chain, err = chainOf(b.Key, v.Material, e.CertificateChain)
	b.Versions[n] = v
	b.Key.Certificates = append(b.Key.Certificates, lifecycle.Certificate{Version: n, Digest: lifecycle.NewCertificateChain(v.Chain).Digest})
	return err
}

// chainOf reads the certificate chain of a version, if it is one that the version may be given.
func chainOf(k lifecycle.Key, m envelope.Material, der [][]byte) ([][]byte, error) {
	chain, err := envelope.ParseChain(envelope.FormatChain(der))
	switch {
	case err != nil:
		return nil, err
	case k.Derived || !bytes.Equal(chain.Public, m.Public()):
		return nil, errors.New("certificate_chain: the leaf certificate is of another key")
	}
	return chain.DER, nil
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
	size := lifecycle.TypesOf(&k).SizeOf(n)
	if k.Imported || k.AllowRotation { // each version has the size of what was imported
		size = 0
	}
	return envelope.Algorithm(lifecycle.TypesOf(&k).Of(n)).FromEntry(e, size, rand)
}
