// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package badclients_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const mib = 1 << 20

// batch is a request with so many items.
func batch(n int, item string) string {
	return `{"batch_input":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
}

// requestsTooLargeAreRefused goes up to the bounds of Vault's listener, below which the plugin has to serve, and beyond them.
func requestsTooLargeAreRefused(t *testing.T, b *besieged) {
	item := `{"plaintext":"` + strings.Repeat("QUFB", 180_000) + `"}` // 0.7 MiB
	r := b.post("encrypt/k", batch(43, item))                         // 30 MiB
	require.Equal(t, http.StatusOK, r.Status, "%.300v", r.Body)
	require.Len(t, r.Data()["batch_results"], 43)
	r = b.post("encrypt/k", batch(10_000, `{"plaintext":"`+hello+`"}`))
	require.Equal(t, http.StatusOK, r.Status, "%.300v", r.Body)
	b.refusedByVault(batch(100_000, `{"plaintext":"`+hello+`"}`), "100,000 items")
	b.refusedByVault(`{"plaintext":"`+strings.Repeat("QUFB", 30*mib/4)+`"}`, "30 MiB in one text")
	beyond, err := b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/encrypt/k", Body: batch(48, item)}) // 33 MiB
	require.True(t, err != nil || beyond.Status == http.StatusRequestEntityTooLarge, "%d", beyond.Status)              // Vault may hang up before it has all
	b.refusedByVault(`{"plaintext":"`+hello+`","context":"`+strings.Repeat("n", mib+1)+`"}`, "a context of more than 1 MiB")
	long := strings.Repeat("n", mib-100)
	b.refused(b.post("keys/k/rotate", `{"reason":"`+long+`"}`), "a reason of 1 MiB", "reason")
	b.refused(b.post("keys/other", `{"owner":"`+long+`"}`), "an owner of 1 MiB", "owner")
	b.refused(b.post("keys/other", `{"type":"`+long+`"}`), "a type of 1 MiB", "type")
	b.refused(b.post("policies/other", `{"owner":"o","document":"`+long+`"}`), "a document of 1 MiB", "document")
	b.refused(b.post("keys/"+strings.Repeat("n", 1025), ""), "a name of 1,025 bytes", "name")
	b.refused(b.post("keys/"+strings.Repeat("n", 10_000), ""), "a name of 10,000 bytes", "name") // Vault takes seconds over longer paths, whatever engine they lead to
}

// malformedRequestsAreRefused sends what is no JSON, or no JSON of ours.
func malformedRequestsAreRefused(t *testing.T, b *besieged) {
	deep := func(n int, open, close string) string { return strings.Repeat(open, n) + strings.Repeat(close, n) }
	for name, c := range map[string]struct {
		path, body string
		says       []string
	}{
		"no JSON":                     {"encrypt/k", `plaintext=hello`, nil},
		"half an object":              {"encrypt/k", `{"plaintext":"` + hello, nil},
		"a list":                      {"encrypt/k", `["` + hello + `"]`, nil},
		"a text":                      {"encrypt/k", `"` + hello + `"`, nil},
		"nested lists":                {"encrypt/k", `{"plaintext":` + deep(100_000, "[", "]") + `}`, nil},
		"nested objects":              {"encrypt/k", `{"batch_input":` + deep(100_000, `{"a":`, "}") + `}`, nil},
		"nested within Vault's bound": {"encrypt/k", `{"plaintext":` + deep(200, "[", "]") + `}`, []string{"plaintext"}},
		"a number for a text":         {"encrypt/k", `{"plaintext":` + strings.Repeat("9", 500) + `}`, nil},
		"no base64":                   {"encrypt/k", `{"plaintext":"%%%"}`, []string{"plaintext", "base64"}},
		"base64 without padding":      {"encrypt/k", `{"plaintext":"aGVsbG8"}`, []string{"base64"}},
		"no ciphertext":               {"decrypt/k", `{"ciphertext":"vault:v1:%%%"}`, []string{"ciphertext"}},
		"a version beyond numbers":    {"decrypt/k", `{"ciphertext":"vault:v99999999999999999999:` + hello + `"}`, []string{"version"}},
		"a huge exponent":             {"keys/k/trim", `{"min_available_version":1e400}`, nil},
		"an unknown HCL":              {"policies/p", `{"owner":"o","document":"policy \"p\" {{{{{{{{"}`, []string{"document"}},
		"HCL that nests":              {"policies/p", `{"owner":"o","document":"a = ` + strings.Repeat("(", 20_000) + `"}`, []string{"document"}},
		"a pattern that backtracks":   {"policies/p", `{"owner":"o","reason_pattern":"(a{1000}){1000}"}`, []string{"reason_pattern"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &besieged{b.Server, b.siege, t}
			if c.says == nil {
				b.refusedByVault(c.body, name)
				return
			}
			b.refused(b.post(c.path, c.body), name, c.says...)
		})
	}
	b.refusedByVault(`{"plaintext":"%%%","plaintext":"`+hello+`"}`, "a name that comes twice")
}

// theContentTypeSaysNothing sends forms and no type at all: Vault takes JSON whatever it is called, and forms as such.
func theContentTypeSaysNothing(t *testing.T, b *besieged) {
	for kind, body := range map[string]string{
		"":                                  `{"plaintext":"` + hello + `"}`,
		"text/plain":                        `{"plaintext":"` + hello + `"}`,
		"application/xml":                   `<plaintext/>`,
		"application/x-www-form-urlencoded": "plaintext=" + hello,
		"multipart/form-data; boundary=x":   "--x\r\nContent-Disposition: form-data; name=\"plaintext\"\r\n\r\naGVsbG8=\r\n--x--\r\n",
		"application/json; charset=utf-16":  "\xff\xfe{\x00}\x00",
	} {
		request, err := http.NewRequest(http.MethodPost, b.Address()+"/v1/"+mount+"/encrypt/k", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", kind)
		request.Header.Set("X-Vault-Token", b.Client().Token())
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		said, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Less(t, response.StatusCode, 500, "%s: %s", kind, said)
	}
}

// namesStayInTheirPlace asks for keys by names that lead elsewhere, are words of the API, or nearly each other.
func namesStayInTheirPlace(t *testing.T, b *besieged) {
	const mount = "names"
	b.Mount(t, mount, harness.PluginName)
	before := b.AllStored(t, mount)
	for _, name := range []string{
		"%2e%2e", "%2e%2e%2fconfig%2fkek", "a%2fb", "a%00b", "a%20b", "a%0ab", "%e2%80%ae", "-a", "a-", ".a", "a.", "a..b", "*", "+", "%2a",
	} {
		for _, path := range []string{"keys/" + name, "encrypt/" + name, "policies/" + name} {
			r, err := b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/" + path, Body: `{"plaintext":"` + hello + `","owner":"o"}`})
			require.NoError(t, err)
			require.True(t, r.Status >= 300 && r.Status < 500, "%s: %d %v", path, r.Status, r.Body)
		}
	}
	for path := range b.AllStored(t, mount) {
		require.True(t, before[path] != nil || strings.HasPrefix(path, "access/") || path == "config/clock" || path == "config/census", "%s was made", path)
	}
	good := []string{
		"rotation", "config", "versions", "history", "status", "import", "keys", "policies", "custody", "plan", "drift", "revisions", "a", "aa", "a.a", "a_a", "a-a", "A", "0", "00",
		strings.Repeat("n", 1024), strings.Repeat("n", 1023) + "m", "config.kek", "mount", "policy.by-hand", "next_after", "null", "true", "undefined", "con", "__proto__",
	}
	for _, name := range good {
		b.Must(t, http.MethodPost, mount+"/keys/"+name, nil)
		b.Must(t, http.MethodPost, mount+"/encrypt/"+name, `{"plaintext":"`+hello+`"}`)
		require.Equal(t, name, b.Must(t, http.MethodGet, mount+"/keys/"+name, nil)["name"])
	}
	require.Len(t, b.Must(t, "LIST", mount+"/keys", nil)["keys"], len(good))
	for _, name := range good {
		b.Must(t, http.MethodPost, mount+"/keys/"+name+"/config", `{"deletion_allowed":true}`)
		b.Must(t, http.MethodDelete, mount+"/keys/"+name, nil)
	}
	require.Equal(t, http.StatusNotFound, b.Do(t, "LIST", mount+"/keys", nil).Status, "there is none any more")
	require.Equal(t, true, b.Must(t, http.MethodPost, mount+"/custody/verify", nil)["valid"])
}
