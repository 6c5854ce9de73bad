// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// fewestTrials guards the tables: a generator that yields nothing would pass silently.
const fewestTrials = 1500

// trials is the whole table. Key types that keylife does not have are not in it.
func trials() []trial {
	return slices.Concat(
		nameTrials(), methodTrials(), keyTrials(), configTrials(), mountTrials(),
		cipherTrials(), versionTrials(), upsertTrials(), ciphertextTrials(), batchTrials(), batchCodeTrials(),
		fieldTrials(), itemTrials(), faultTrials(), rewrapItemTrials(), limitTrials(), trimTrials(),
		macTrials(), signTrials(), exportTrials(), rsaTrials(), backupTrials(),
	)
}

// TestAKeyWithoutAPolicyBehavesAsInTransit is the promise of design/lifecycle.md, rule 1. It is kept by what internal/front answers, and by
// a plugin that answers all by the SDK.
func TestAKeyWithoutAPolicyBehavesAsInTransit(t *testing.T) {
	t.Parallel()
	s := server(t)
	all := trials()
	requests := 0
	const bySDK = "keylife-by-sdk"
	s.RegisterAs(t, bySDK, "KEYLIFE_FRONT=off")
	commonTransit, commonKeylife := freshPair(t, s)
	commonBySDK := freshMount(t, s, bySDK)
	for i, tr := range all {
		requests += len(tr.steps)
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			transit, keylife, sdk := commonTransit, commonKeylife, commonBySDK
			if tr.own {
				transit, keylife = freshPair(t, s)
				sdk = freshMount(t, s, bySDK)
			}
			key := fmt.Sprintf("trial-%d", i)
			runTrial(t, s, tr, newSide(transit, key), newSide(keylife, key), newSide(sdk, key))
		})
	}
	t.Logf("%d trials, together %d requests to each engine", len(all), requests)
	require.GreaterOrEqual(t, len(all), fewestTrials)
}

// runTrial sends every step to Transit and to keylife, on one mount or several, and fails with all the differences. It ends early when there
// is nothing to keep.
func runTrial(t *testing.T, s *harness.Server, tr trial, transit *side, keylife ...*side) {
	t.Helper()
	var found []string
	for n, st := range tr.steps {
		a := transit.send(t, s, st)
		kept, repeated := transit.rememberAll(st, a), transit.repeats(a)
		var differences []string
		for _, k := range keylife {
			b := k.send(t, s, st)
			differences = append(differences, compare(st, a, b)...)
			if repeats := compareRepeats(repeated, k.repeats(b)); len(found) == 0 { // what comes after a difference repeats something else
				differences = append(differences, repeats...)
			}
			kept = k.rememberAll(st, b) && kept
		}
		if !kept {
			differences = append(differences, "an answer lacks what is to be kept")
		}
		for _, d := range differences {
			found = append(found, fmt.Sprintf("step %d of %d, %s %s %.160s: %s", n+1, len(tr.steps), st.method, st.path, st.body, d))
		}
		if !kept {
			break
		}
	}
	require.Empty(t, found, strings.Join(found, "\n"))
}

func compareRepeats(transit, keylife []int) []string {
	if slices.Equal(transit, keylife) {
		return nil
	}
	return []string{fmt.Sprintf("ciphertexts repeat: transit %v, keylife %v", transit, keylife)}
}

// side is one engine in a trial: where it is mounted, what the script kept, and the ciphertexts it has returned.
type side struct {
	mount string
	vars  map[string]string
	seen  map[string]int
}

func newSide(mount, key string) *side {
	return &side{mount: mount, vars: map[string]string{"K": key}, seen: map[string]int{}}
}

func (d *side) send(t *testing.T, s *harness.Server, st step) harness.Reply {
	t.Helper()
	return s.Do(t, st.method, d.mount+"/"+d.fill(st.path), d.fill(st.body))
}

// fill replaces the variables, longer names first: $ct is the beginning of $ct2.
func (d *side) fill(template string) string {
	names := make([]string, 0, len(d.vars))
	for name := range d.vars {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(names))
	for _, name := range names {
		pairs = append(pairs, "$"+name, d.vars[name])
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

func (d *side) rememberAll(st step, r harness.Reply) bool {
	for _, k := range st.keep {
		if !d.remember(k, r) {
			return false
		}
	}
	return true
}

func (d *side) remember(k kept, r harness.Reply) bool {
	var value any = r.Data()
	for _, name := range strings.Split(k.at, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return false
			}
			value = v[i]
		}
	}
	text, ok := value.(string)
	if !ok {
		return false
	}
	d.vars[k.name] = text
	if _, payload, found := cutLast(text, ":"); found {
		d.vars[k.name+"_payload"] = payload
	}
	return true
}

// repeats tells for each ciphertext of an answer which earlier one of the trial it equals, or its own place: the pattern
// shows whether encryption is deterministic.
func (d *side) repeats(r harness.Reply) []int {
	var pattern []int
	note := func(holder any) {
		member, _ := holder.(map[string]any)
		text, ok := member["ciphertext"].(string)
		if !ok {
			return
		}
		if _, known := d.seen[text]; !known {
			d.seen[text] = len(d.seen)
		}
		pattern = append(pattern, d.seen[text])
	}
	note(r.Data())
	results, _ := r.Data()["batch_results"].([]any)
	for _, item := range results {
		note(item)
	}
	return pattern
}
