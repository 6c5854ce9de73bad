// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report_test

import (
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/report"
)

var (
	from = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	to   = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
)

const year = 365 * 24 * time.Hour

// good are facts of which all that the engine sees is met.
func good() report.Facts {
	chain := func(name string) report.Chain { return report.Chain{Name: name, Records: 4, First: from} }
	f := report.Facts{From: from, To: to, Mount: report.Mount{
		KEKs: []report.KEK{{Purpose: "online", Suite: "aes-gcm", Bits: 256, Token: true}}, TokenRandom: true, Chain: chain("mount:"),
	}}
	f.Mount.Chain.Acts = []report.Act{act(3, "acknowledge", "bob (e2)", "duties_hash", "9f3a")}
	f.Policies = []report.Policy{{
		Name: "pci", Hash: "77aa", Revision: 2, Created: from, Compliance: []string{"pci-dss-4.0.1", "gdpr/17"}, Owner: "payments", AllowedTypes: []string{"aes256-gcm96"},
		MinStrength: 128, Cryptoperiod: year, RotationMode: "auto", Chain: chain("policy:pci"),
	}}
	f.Policies[0].Chain.Acts = []report.Act{approved(act(1, "write", "alice (e1)", "revision", "1 -> 2"))}
	f.Keys = []report.Key{{
		Name: "cards", ID: "ab", Policy: "pci", State: "enabled", Type: "aes256-gcm96", Bits: 256, MaxBits: 256, MinStrength: 128, Encrypts: true,
		Versions: 3, Destroyed: 1, Cryptoperiod: year, RotationStatus: "scheduled", NextRotation: to.Add(year / 2), Encryptions: 7, MaxEncryptions: 100,
		Labels: map[string]string{"env": "prod"},
		Uses:   []report.Use{{Version: 2, From: from, Until: from.Add(year / 2)}, {Version: 3, From: from.Add(year / 2)}},
		Chain:  chain("cards"),
	}}
	destroyed := act(5, "destroy", "")
	destroyed.System, destroyed.Versions = true, []int{1}
	f.Keys[0].Chain.Acts = []report.Act{approved(act(3, "retire", "alice (e1)")), destroyed}
	return f
}

// act is one that took effect, with details: name, text.
func act(seq int, name, by string, details ...string) report.Act {
	a := report.Act{Seq: seq, Name: name, By: by, Time: from.Add(time.Hour), Reason: "CHG-4711", Done: true, Details: map[string]string{}}
	for i := 0; i < len(details); i += 2 {
		a.Details[details[i]] = details[i+1]
	}
	return a
}

func approved(a report.Act) report.Act {
	a.Details["approval"], a.Details["approvers"] = "ap-4tq7", "bob (e2), carol (e3)"
	return a
}

// many are facts with so many keys.
func many(n int) report.Facts {
	f := good()
	one := f.Keys[0]
	f.Keys = nil
	for i := range n {
		k := one
		k.Name = fmt.Sprintf("key-%02d", i)
		k.Chain.Name = k.Name
		if i%3 == 1 {
			k.Bits = 112
		}
		f.Keys = append(f.Keys, k)
	}
	return f
}
