// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
)

// nameTrials ask for names at the edge of what a key may be called. In a path they stand as they are sent.
func nameTrials() []trial {
	names := []string{
		"a", "7", "A", "_", "__", "a-b", "a.b", "a_b", "a--b", "a..b", "a.-.b", "UPPER-and-lower.9", "import", "config",
		"rotate", "keys", "plaintext", strings.Repeat("n", 200), strings.Repeat("n", 1000),
		"a-", "-a", ".a", "a.", "a%20b", "a%2Fb", "%C3%A4", "a!b", "a@b", "a,b", "a:b", "a+b", "a%00b", "a%25b", "$K/b", "*", "%2e%2e",
	}
	var all []trial
	for i, name := range names {
		label := fmt.Sprintf("name %d %.20s", i, name)
		all = append(all, trial{name: label, steps: []step{
			get("keys/" + name),
			post("keys/"+name, "{}"),
			get("keys/" + name),
			post("keys/"+name+"/config", `{"deletion_allowed":true}`),
			post("keys/"+name+"/rotate", ""),
			post("encrypt/"+name, object("plaintext", hello)),
			post("decrypt/"+name, object("ciphertext", "vault:v1:AAAA")),
			post("rewrap/"+name, object("ciphertext", "vault:v1:AAAA")),
			post("datakey/wrapped/"+name, "{}"),
			del("keys/" + name),
			get("keys/" + name),
		}})
	}
	return append(all, trial{name: "names differ in case", steps: []step{
		post("keys/$K-a", "{}"), get("keys/$K-A"), post("encrypt/$K-A", object("plaintext", hello)), get("keys/$K-A"),
	}})
}

// methodTrials send every method to every path, with and without a key behind it.
func methodTrials() []trial {
	paths := []string{
		"keys", "keys/", "keys/$K/", "keys/$K/config", "keys/$K/rotate", "keys/$K/nonsense", "encrypt/$K", "encrypt/$K/",
		"encrypt", "encrypt/", "decrypt/$K", "decrypt/", "rewrap/$K", "rewrap/", "datakey/plaintext/$K", "datakey/wrapped/$K",
		"datakey/other/$K", "datakey/plaintext", "datakey/", "config/keys", "config/keys/", "config/nonsense", "config", "", "nonsense/$K",
	}
	methods := []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, "LIST"}
	var all []trial
	for _, path := range paths {
		var steps []step
		for _, method := range methods {
			steps = append(steps, step{method: method, path: path})
		}
		steps = append(append(steps, post("keys/$K", "{}")), steps...)
		all = append(all, trial{name: "every method on " + path, own: true, steps: append(steps, get("keys/$K"))})
	}
	return append(all,
		trial{name: "methods on a key that is not there", steps: []step{{method: http.MethodPatch, path: "keys/$K"}, get("keys/$K"), list("keys/$K"), del("keys/$K")}},
		trial{name: "methods on a key that PUT made", steps: []step{
			{method: http.MethodPut, path: "keys/$K"}, {method: http.MethodPatch, path: "keys/$K"}, list("keys/$K"), del("keys/$K"), get("keys/$K"),
		}},
	)
}
