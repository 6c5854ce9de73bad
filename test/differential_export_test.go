// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// exportedTypes have versions in each form that an export has. Keys of type hmac are shown otherwise than in Transit; the tests of backups
// have them.
var exportedTypes = []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"}

// exportableKey makes a key of two versions.
func exportableKey(kind string) []step {
	return []step{post("keys/$K", object("type", kind, "exportable", true)), rotate()}
}

func export(kind, version string) step { return get("export/" + kind + "/$K" + version) }

// exportTrials hold the rules of export/:type/:name(/:version). What the values are is for the tests of backups: material that both have.
func exportTrials() []trial {
	kinds := []string{"encryption-key", "signing-key", "hmac-key", "public-key", "certificate-chain", "bogus", "Signing-Key"}
	var all []trial
	for _, of := range exportedTypes {
		everything := exportableKey(of)
		for _, kind := range kinds {
			everything = append(everything, export(kind, ""), export(kind, "/latest"), export(kind, "/1"), export(kind, "/3"))
		}
		all = append(all, trial{name: "export " + of, steps: everything})
		all = append(all, trial{name: "export " + of + " behind a floor", steps: append(
			exportableKey(of), floor(2), export("hmac-key", ""), export("hmac-key", "/1"), export("public-key", ""), export("public-key", "/v1"), export("public-key", "/v2"),
		)})
	}
	versions := exportableKey("ed25519")
	for _, version := range []string{
		"1", "v1", "v2", "latest", "Latest", "0", "v0", "-1", "3", "x", "01", "1/", "v", "99999999999999999999", "vv1", "V1", "+1", "1.0", "1/2", "%201", "1%20", "",
	} {
		versions = append(versions, export("signing-key", "/"+version), export("public-key", "/"+version))
	}
	closed := []step{post("keys/$K", `{"type":"ecdsa-p256"}`)}
	missing := []step{}
	for _, kind := range kinds {
		closed = append(closed, export(kind, ""), export(kind, "/7"), export(kind, "/x"))
		missing = append(missing, export(kind, ""), export(kind, "/1"))
	}
	return append(all,
		trial{name: "export versions", steps: versions},
		trial{name: "export of a key that is not exportable", steps: closed},
		trial{name: "export of a missing key", steps: missing},
		trial{name: "export of a derived key", steps: []step{
			post("keys/$K", `{"type":"ed25519","derived":true,"exportable":true}`), export("signing-key", ""), export("public-key", ""), export("hmac-key", ""),
		}},
		trial{name: "export after the key became exportable", steps: []step{
			post("keys/$K", `{}`), export("encryption-key", ""), config(`{"exportable":true}`), export("encryption-key", ""),
		}},
		trial{name: "methods of export", steps: append(exportableKey("aes256-gcm96"),
			post("export/encryption-key/$K", `{}`), del("export/encryption-key/$K"), list("export/encryption-key/$K"), list("export/encryption-key"),
			get("export/encryption-key"), get("export"), get("export/encryption-key/"),
		)},
	)
}

func exportDifferences() []intended {
	return []intended{{
		name: "cmac-key of a missing key", reason: "Transit looks at its edition first", differs: export("cmac-key", ""), transit: 400, keylife: 404,
		holds: func(*testing.T, *harness.Server, *side, harness.Reply) {},
	}}
}
