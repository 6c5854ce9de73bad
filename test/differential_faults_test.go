// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

// faultTrials have several faults in one request: which of them is told decides the status.
func faultTrials() []trial {
	var all []trial
	for _, f := range []flavour{f0(), {"aes128-gcm96", "derived"}, {"chacha20-poly1305", "convergent"}} {
		steps := []step{f.create(), f.encrypt("ct")}
		for _, rest := range faults() {
			for _, text := range []string{hello, "", bad64} {
				body := object(append([]any{"plaintext", text}, rest...)...)
				steps = append(steps, post("encrypt/$K", body), post("encrypt/$K", items(body)))
			}
			for _, text := range []string{"$ct", "vault:v1:!", "vault:v1:AAAA", "vault:v9:AAAA", "vault:v1:", "!", ""} {
				body := object(append([]any{"ciphertext", text}, rest...)...)
				steps = append(steps, post("decrypt/$K", body), post("decrypt/$K", items(body)))
			}
		}
		all = append(all, trial{name: "several faults " + f.String(), steps: steps})
	}
	return all
}

// faults are what may be wrong beside the text.
func faults() [][]any {
	var all [][]any
	for _, context := range [][]any{nil, {"context", topic}, {"context", bad64}} {
		for _, rest := range [][]any{
			{"associated_data", bad64},
			{"associated_data", bad64, "key_version", 9},
			{"nonce", bad64, "associated_data", bad64},
			{"nonce", nonce, "associated_data", bad64},
			{"padding_scheme", "oaep"},
			{"padding_scheme", "oaep", "associated_data", bad64},
			{"padding_scheme", "oaep", "key_version", 9},
			{"padding_scheme", "oaep", "nonce", nonce},
			{"iv", bad64, "padding_scheme", "oaep"},
		} {
			all = append(all, append(rest, context...))
		}
	}
	return all
}

// rewrapItemTrials are about what of items is read: names in any case by rewrap alone, versions of up to 64 bits by all.
func rewrapItemTrials() []trial {
	steps := threeVersions(f0())
	for _, path := range []string{"encrypt/$K", "decrypt/$K", "rewrap/$K"} {
		for _, item := range []string{
			object("Ciphertext", "$v2"), object("CIPHERTEXT", "$v2", "Reference", "r", "Context", topic), object("ciphertext", "$v2", "Ciphertext", "x"),
			object("Plaintext", hello), object("ciphertext", "$v2", "Key_Version", 1), object("ciphertext", "$v2", "Nonce", nonce),
			object("plaintext", hello, "Reference", "r", "Key_Version", 1), object("ciphertext", "$v2", "Decrypt_Padding_Scheme", "oaep"),
		} {
			steps = append(steps, post(path, items(item)))
		}
		for _, version := range []string{"99999999999", "-99999999999", "2147483648", "1000000000000000000", huge} {
			for _, item := range []string{object("plaintext", hello), object("ciphertext", "$v2")} {
				steps = append(steps, post(path, items(with(item, "key_version", literal(version)))))
			}
		}
	}
	return []trial{{name: "names and versions of items", steps: steps}}
}
