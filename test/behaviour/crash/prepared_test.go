// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// This file prepares what the acts of acts_test.go need.

// fullPage is what a mount stores whose key k needs a page of creation times with its next version.
var fullPage struct {
	sync.Once
	entries map[string][]byte
}

// prepareFullPage makes the many versions once, and leaves the key in memory, as making it does.
func prepareFullPage(m *mounttest.Mount) {
	fullPage.Do(func() {
		made := mounttest.New(m.T)
		made.K.Make(255)
		fullPage.entries = made.Storage.All()
	})
	m.Load(fullPage.entries)
	m.Must(m.Read("keys/k"))
}

// anOutside is the public half of an RSA key of another mount.
var anOutside struct {
	sync.Once
	public string
}

func outsidePublic(t testing.TB) string {
	anOutside.Do(func() { _, anOutside.public = mounttest.OutsideRSA(t) })
	return anOutside.public
}

func prepareWrappedExport(m *mounttest.Mount) {
	prepareKey(m)
	m.Must(m.Write("keys/k/config", "exportable", true))
	m.Must(m.Write("keys/there/import", "type", "rsa-2048", "public_key", outsidePublic(m.T)))
}

func prepareBackup(m *mounttest.Mount) {
	prepareKey(m)
	m.Must(m.Write("keys/k/config", "exportable", true, "allow_plaintext_backup", true))
}

// aBackup is of a key with two versions, of which one is archived.
var aBackup struct {
	sync.Once
	text string
}

func backup() string { return aBackup.text }

func makeBackup(t *testing.T) {
	t.Helper()
	aBackup.Do(func() {
		m := mounttest.New(t)
		prepareBackup(m)
		m.Must(m.Write("keys/k/versions/1/archive"))
		aBackup.text = m.Must(m.Read("backup/k")).Data["backup"].(string)
	})
}

// aCertifiedBackup is of a key with a certificate.
var aCertifiedBackup struct {
	sync.Once
	text string
}

func certifiedBackup(t testing.TB) string {
	aCertifiedBackup.Do(func() {
		m := mounttest.New(t)
		m.Must(m.Write("keys/k", "type", "rsa-2048", "exportable", true, "allow_plaintext_backup", true))
		public := m.Must(m.Read("export/public-key/k")).Data["keys"].(map[string]any)["1"].(string)
		m.Must(m.Write("keys/k/set-certificate", "certificate_chain", mounttest.Certified(t, public)))
		aCertifiedBackup.text = m.Must(m.Read("backup/k")).Data["backup"].(string)
	})
	return aCertifiedBackup.text
}

// restoreAgain restores what may be there already.
func restoreAgain(m *mounttest.Mount, backup string) mounttest.Answer {
	a := m.Write("restore/k", "backup", backup)
	if strings.Contains(a.Err, "already exists") {
		return mounttest.Answer{Status: 204}
	}
	return a
}

func prepareKey(m *mounttest.Mount) {
	m.Must(m.Write("keys/k"))
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
}

// deleteAgain deletes what may be deleted already.
func deleteAgain(m *mounttest.Mount) mounttest.Answer {
	a := m.Delete("keys/k")
	if strings.Contains(a.Err, "not found") {
		return mounttest.Answer{Status: 204}
	}
	return a
}
