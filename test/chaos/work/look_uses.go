// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// atOnce is how many ciphertexts are opened by one request.
const atOnce = 200

// uses opens all that was acknowledged as protected, and verifies all that was acknowledged as signed.
func (k *looker) uses() error {
	of := map[string][]history.Operation{}
	var names []string
	for _, o := range k.load.History.Operations {
		if o.Outcome == history.Done && o.Ciphertext != "" {
			if of[o.Key] == nil {
				names = append(names, o.Key)
			}
			of[o.Key] = append(of[o.Key], o)
		}
	}
	for _, name := range names {
		for all := of[name]; len(all) > 0; {
			some := all[:min(atOnce, len(all))]
			all = all[len(some):]
			k.use(name, some)
		}
	}
	return nil
}

// use is one batch. That it is not answered is what came of each item.
func (k *looker) use(key string, some []history.Operation) {
	act := "decrypt"
	items := make([]map[string]any, len(some))
	for i, o := range some {
		items[i] = map[string]any{"ciphertext": o.Ciphertext}
		if o.Act == "sign" {
			act, items[i] = "verify", map[string]any{"signature": o.Ciphertext, "input": o.Text}
		}
	}
	reply, err := k.send(http.MethodPost, act+"/"+key, map[string]any{"batch_input": items})
	results, _ := reply.Data()["batch_results"].([]any)
	for i, o := range some {
		use := history.Use{Operation: o.ID, Act: act, Outcome: history.Refused, Error: fmt.Sprint(reply.Body["errors"])}
		switch {
		case err != nil:
			use.Outcome, use.Error = history.Unknown, err.Error()
		case i < len(results):
			result, _ := results[i].(map[string]any)
			readUse(&use, result)
		case reply.Status < http.StatusBadRequest:
			use.Error = "no result for the item"
		}
		k.final.Uses = append(k.final.Uses, use)
	}
}

func readUse(use *history.Use, result map[string]any) {
	use.Error, _ = result["error"].(string)
	if use.Error != "" {
		return
	}
	use.Outcome = history.Done
	if valid, ok := result["valid"].(bool); ok {
		use.Valid = &valid
		return
	}
	text, _ := result["plaintext"].(string)
	use.Opened = history.Digest(text)
}

// offline holds an export against the public keys and a checkpoint, by the command that needs no Vault.
func offline(lines []string, keys, checkpoint map[string]any) (history.Verdict, error) {
	dir, err := os.MkdirTemp("", "custody-")
	if err != nil {
		return history.Verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := func(name string) string { return filepath.Join(dir, name) }
	publicKeys, err := json.Marshal(keys)
	if err != nil {
		return history.Verdict{}, err
	}
	signed, err := json.Marshal(checkpoint)
	if err != nil {
		return history.Verdict{}, err
	}
	for name, content := range map[string][]byte{"keys": publicKeys, "checkpoint": signed, "export": []byte(strings.Join(lines, "\n") + "\n")} {
		if err := os.WriteFile(path(name), content, 0o600); err != nil {
			return history.Verdict{}, err
		}
	}
	command := exec.Command(os.Getenv("KEYLIFE_PLUGIN"), "verify", "-public-key", path("keys"), "-checkpoint", path("checkpoint"), path("export"))
	command.Env = []string{} // it needs nothing from its surroundings
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return history.Verdict{}, err
	}
	return history.Verdict{Valid: err == nil, Said: string(said)}, nil
}
