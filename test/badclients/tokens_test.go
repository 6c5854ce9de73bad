// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package badclients_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// aFloodOfTokensIsBounded uses a key with many entities, and with many tokens of each. A flood of 70,000 entities is in
// test/behaviour/badclients.
func aFloodOfTokensIsBounded(t *testing.T, b *besieged) {
	const entities, tokens, clients = 100, 10, 4
	b.Must(t, http.MethodPost, mount+"/keys/flooded", nil)
	b.Must(t, http.MethodPut, "sys/policies/acl/flood", map[string]any{"policy": `path "` + mount + `/*" { capabilities = ["create", "update"] }`})
	b.Must(t, http.MethodPost, "auth/token/roles/flood", map[string]any{"allowed_entity_aliases": "flood-*", "allowed_policies": "flood", "token_type": "batch", "orphan": true, "renewable": false})
	before := scrape(b)
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := c; i < entities*tokens; i += clients {
				b.useOnce(fmt.Sprintf("flood-%d", i%entities))
			}
		})
	}
	wait.Wait()
	require.LessOrEqual(t, scrape(b), before+20, "no series is an entity's")
	seen, _ := b.Must(t, http.MethodGet, mount+"/access-review?key=flooded&limit=1000", nil)["entities"].([]any)
	require.Len(t, seen, entities+1, "an entity once, whatever its tokens, and who made the key")
}

// useOnce encrypts with a new token of an entity, which is made where there is none.
func (b *besieged) useOnce(alias string) {
	b.t.Helper()
	made, err := b.Send(harness.Request{Method: http.MethodPost, Path: "auth/token/create/flood", Body: map[string]any{"entity_alias": alias, "policies": []string{"flood"}}})
	assert.NoError(b.t, err)
	auth, _ := made.Body["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	assert.NotEmpty(b.t, token, "%v", made.Body)
	used, err := b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/encrypt/flooded", Body: `{"plaintext":"` + hello + `"}`, Token: token})
	assert.NoError(b.t, err)
	assert.Equal(b.t, http.StatusOK, used.Status, "%v", used.Body)
}

// scrape is how many lines the metrics of the mount have.
func scrape(b *besieged) int {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodGet, b.Address()+"/v1/"+mount+"/metrics", nil)
	require.NoError(b.t, err)
	request.Header.Set("X-Vault-Token", b.Client().Token())
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, response.StatusCode, "%.300s", text)
	return strings.Count(string(text), "\n")
}
