// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// calmPace is the time between two turns of a worker. A load that goes on for minutes leaves the machine to the others: there are
// thousands of requests all the same.
const calmPace = 40 * time.Millisecond

// calm is a load on one key of which no request may fail.
type calm struct {
	server *harness.Server
	key    string
	quit   chan struct{}
	once   sync.Once
	wait   sync.WaitGroup

	mu     sync.Mutex
	done   map[int]int // encryptions by version
	failed []string
}

// startCalm encrypts and decrypts with the key until it is stopped.
func startCalm(s *harness.Server, key string, workers int) *calm {
	c := &calm{server: s, key: key, quit: make(chan struct{}), done: map[int]int{}}
	for range workers {
		c.wait.Go(func() {
			pace := time.NewTicker(calmPace)
			defer pace.Stop()
			for {
				select {
				case <-c.quit:
					return
				case <-pace.C:
					c.turn()
				}
			}
		})
	}
	return c
}

// turn encrypts once and opens what came out.
func (c *calm) turn() {
	sealed, err := c.server.Send(harness.Request{Method: http.MethodPost, Path: "keylife/encrypt/" + c.key, Body: object("plaintext", hello)})
	if err != nil || sealed.Status != http.StatusOK {
		c.fail("encrypt", sealed, err)
		return
	}
	data := sealed.Data()
	opened, err := c.server.Send(harness.Request{Method: http.MethodPost, Path: "keylife/decrypt/" + c.key, Body: object("ciphertext", data["ciphertext"])})
	if err != nil || opened.Status != http.StatusOK || opened.Data()["plaintext"] != hello {
		c.fail("decrypt", opened, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[number(data["key_version"])]++
}

func (c *calm) fail(what string, r harness.Reply, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, fmt.Sprintf("%s: %d %v %v", what, r.Status, r.Body, err))
}

// stop ends the load and returns the encryptions by version; none may have failed.
func (c *calm) stop(t *testing.T) map[int]int {
	t.Helper()
	c.once.Do(func() { close(c.quit) })
	c.wait.Wait()
	require.Empty(t, c.failed, "a request failed")
	return c.done
}

func clocked(t *testing.T) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{Clock: true, Mounts: map[string]string{"keylife": harness.PluginName}})
}

// A security team plans a change of a policy, sees what it will do, applies it, and the engine does just that.
func TestAPolicyChangeIsPlannedAppliedAndEnforced(t *testing.T) {
	t.Parallel()
	s := clocked(t)
	s.Must(t, http.MethodPost, "keylife/policies/p", object("owner", "security", "rotation_period", "30d", "rotation_jitter", "0s"))
	s.Must(t, http.MethodPost, "keylife/keys/orders", object("policy", "p"))
	s.Must(t, http.MethodPost, "keylife/keys/old", object("policy", "p", "type", "aes128-gcm96"))
	load := startCalm(s, "orders", 2)
	defer load.stop(t)
	s.Advance(t, 48*time.Hour)

	before := s.AllStored(t, "keylife")
	candidate := object("rotation_period", "1d", "min_strength_bits", 256)
	plan := s.Must(t, http.MethodPost, "keylife/policies/p/plan", candidate)
	require.Equal(t, map[string]any{"from": "30d", "to": "1d"}, plan["changes"].(map[string]any)["rotation_period"])
	keys := map[string]map[string]any{}
	for _, entry := range plan["keys"].([]any) {
		keys[entry.(map[string]any)["name"].(string)] = entry.(map[string]any)
	}
	require.Equal(t, true, keys["orders"]["due_now"])
	require.Empty(t, keys["orders"]["becomes_non_compliant"])
	require.NotEmpty(t, keys["old"]["becomes_non_compliant"])
	require.Equal(t, "1", fmt.Sprint(s.Must(t, http.MethodGet, "keylife/policies/p", nil)["revision"]))
	requireSameButClockAndUsage(t, before, s.AllStored(t, "keylife"))

	s.Must(t, http.MethodPost, "keylife/policies/p", candidate)
	drift := s.Must(t, http.MethodGet, "keylife/policies/p/drift", nil)
	require.Contains(t, fmt.Sprint(drift["keys"]), "old")
	require.Contains(t, fmt.Sprint(drift["keys"]), "min_strength_bits")
	harness.Eventually(t, 2*twoTicks, rotatedTo(t, s, "orders", 2))
	require.Equal(t, 1, latest(t, s, "old"), "a type that the policy does not admit gets no version")
	require.Equal(t, "overdue", s.Must(t, http.MethodGet, "keylife/keys/old/rotation", nil)["status"])
	require.Equal(t, "30d", s.Must(t, http.MethodGet, "keylife/policies/p/revisions/1", nil)["rotation_period"])
	versions := load.stop(t)
	require.Positive(t, versions[1])
	require.Equal(t, 2, latest(t, s, "orders"), "one rotation catches up")
}

// requireSameButClockAndUsage compares storage without what ticks and encryptions write meanwhile.
func requireSameButClockAndUsage(t *testing.T, before, after map[string][]byte) {
	t.Helper()
	for _, moving := range []string{"config/clock", "leases/orders/1"} {
		delete(before, moving)
		delete(after, moving)
	}
	require.Equal(t, before, after)
}

// A rotation that cannot succeed backs off, is reported, stalls, and recovers when the cause is gone; nobody who uses the
// key notices. The cause is a policy that demands an HSM of a mount that has none.
func TestABrokenRotationIsReportedAndHarmsNobody(t *testing.T) {
	t.Parallel()
	s := clocked(t)
	s.Must(t, http.MethodPost, "keylife/policies/p", object("owner", "security", "rotation_period", "1d", "rotation_jitter", "0s",
		"rotation_retry_base", "1s", "rotation_retry_max", "10s", "rotation_retry_cycles", 2))
	s.Must(t, http.MethodPost, "keylife/keys/orders", object("policy", "p"))
	s.Must(t, http.MethodPost, "keylife/keys/other", object("policy", "p"))
	load := startCalm(s, "orders", 2)
	defer load.stop(t)

	s.Must(t, http.MethodPost, "keylife/policies/p", object("hsm", "required"))
	refused := s.Do(t, http.MethodPost, "keylife/keys/orders/rotate", object("reason", lifeReason))
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Contains(t, fmt.Sprint(refused.Body), "hsm")
	refused = s.Do(t, http.MethodPost, "keylife/keys/new", object("policy", "p"))
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, "keylife/keys/new", nil).Status)

	s.Advance(t, 25*time.Hour)
	becomes := func(status string) func() error {
		return func() error {
			facts := s.Must(t, http.MethodGet, "keylife/keys/orders/rotation", nil)
			if facts["status"] != status {
				return fmt.Errorf("the key is %v after %v failures: %v", facts["status"], facts["failures"], facts["last_error"])
			}
			return nil
		}
	}
	stalled := func(keys int) func() error {
		return func() error { // a tick comes to one key after the other
			mount := s.Must(t, http.MethodGet, "keylife/rotation/status", nil)
			if number(mount["stalled"]) != keys || number(mount["failed"])+number(mount["overdue"]) != 0 {
				return fmt.Errorf("want %d stalled: %v", keys, mount)
			}
			return nil
		}
	}
	harness.Eventually(t, 3*twoTicks, stalled(2))
	mount := s.Must(t, http.MethodGet, "keylife/rotation/status", nil)
	require.GreaterOrEqual(t, number(mount["oldest_lateness"]), 3600)
	require.Contains(t, s.Must(t, http.MethodGet, "keylife/keys/orders/rotation", nil)["last_error"], "hsm")
	require.Equal(t, 1, latest(t, s, "orders"), "the old version stays in force")

	s.Must(t, http.MethodPost, "keylife/policies/p", object("hsm", "optional"))
	harness.Eventually(t, 2*twoTicks, rotatedTo(t, s, "orders", 2))
	harness.Eventually(t, twoTicks, becomes("scheduled"))
	harness.Eventually(t, 2*twoTicks, rotatedTo(t, s, "other", 2))
	harness.Eventually(t, backAfter, stalled(0))
	require.Positive(t, load.stop(t)[1])
}

// A usage limit rotates in the middle of a load, again and again, and no request notices.
func TestUsageLimitsRotateUnderLoad(t *testing.T) {
	t.Parallel()
	const limit, hard, wanted = 90, 100, 5
	s := clocked(t)
	s.Must(t, http.MethodPost, "keylife/policies/p", object("owner", "security", "max_encryptions", limit))
	s.Must(t, http.MethodPost, "keylife/keys/orders", object("policy", "p"))
	load := startCalm(s, "orders", 6)
	defer load.stop(t)
	harness.Eventually(t, backAfter, rotatedTo(t, s, "orders", 3))
	s.ReloadPlugin(t)
	harness.Eventually(t, backAfter, rotatedTo(t, s, "orders", wanted))
	for version, n := range load.stop(t) {
		require.LessOrEqual(t, n, hard, "version %d", version)
	}
	facts := s.Must(t, http.MethodGet, "keylife/keys/orders/rotation", nil)
	require.Equal(t, "usage", facts["last_rotation_trigger"])
	require.Equal(t, limit, number(facts["max_encryptions"]))
}

// The documents in examples/policies are accepted as they are, read back as they were written, and written again they
// change nothing.
func TestExamplePoliciesAreAppliedAsTheyAre(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	files, err := filepath.Glob("../examples/policies/*.hcl")
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		readsBack(t, s, mount+"/policies/"+filepath.Base(file), object("document", string(text)), "revision", "hash", "created_time")
	}
}

// What Terraform writes of the engine's configuration is read back, and the default policy governs what names none.
func TestTheEngineConfigurationReadsBackAndBinds(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/standard", object("owner", "security"))
	readsBack(t, s, mount+"/config/engine", object("require_policy", true, "default_policy", "standard"))
	s.Must(t, http.MethodPost, mount+"/keys/k", "{}")
	require.Equal(t, "standard", s.Must(t, http.MethodGet, mount+"/keys/k", nil)["policy"])
	require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, mount+"/keys/k/config", object("policy", "")).Status)
	s.Must(t, http.MethodPost, mount+"/config/engine", object("require_policy", true, "default_policy", ""))
	answer := s.Do(t, http.MethodPost, mount+"/keys/free", "{}")
	require.Equal(t, http.StatusBadRequest, answer.Status)
	require.Contains(t, fmt.Sprint(answer.Body), "policy")
	require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, mount+"/keys/free", nil).Status)
}
