// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	whyRetired = "CHG-4711: table dropped, nothing left to rewrap"
	isRetired  = "version 1 is retired: " // what a retirement is told that comes again
)

// approvalID finds the id of a request for consent in a refusal.
var approvalID = regexp.MustCompile(`ap-[a-z2-7]{26}`)

// company is a cluster, and people who log in to it with a password: alice asks, the others are approvers.
type company struct {
	*harness.Cluster
	approvers []string
	tokens    map[string]string // by person
	entities  map[string]string
}

// found makes a company as docs/approvers.md says, with a policy, pci, under which need approvers have to consent to a retirement.
func found(t *testing.T, need int, approvers ...string) *company {
	t.Helper()
	options := harness.Options{Mounts: map[string]string{"keylife": harness.PluginName}}
	c := &company{harness.StartCluster(t, 3, options), approvers, map[string]string{}, map[string]string{}}
	s := c.Active(t)
	s.Must(t, http.MethodPost, "sys/auth/userpass", object("type", "userpass"))
	s.Must(t, http.MethodPut, "sys/policies/acl/people", object("policy", `path "keylife/*" { capabilities = ["create", "read", "update", "list"] }`))
	for _, name := range append([]string{"alice"}, approvers...) {
		c.logIn(t, s, name)
	}
	var members []string
	for _, name := range approvers {
		members = append(members, c.entities[name])
	}
	s.Must(t, http.MethodPost, "identity/group", object("name", "key-approvers", "member_entity_ids", members))
	mount, _ := s.Must(t, http.MethodGet, "sys/auth", nil)["userpass/"].(map[string]any)
	s.Must(t, http.MethodPost, "keylife/config/approvals", object("duties", "Look before you consent.", "auth_mount", mount["accessor"]))
	hash := s.Must(t, http.MethodGet, "keylife/approvers/duties", nil)["duties_hash"]
	for _, name := range approvers {
		c.must(t, s, name, http.MethodPost, "approvers/acknowledge", object("duties_hash", hash))
	}
	s.Must(t, http.MethodPost, "keylife/policies/pci", object("owner", "payments",
		"approvals", map[string]any{"retire": fmt.Sprintf("%d of key-approvers", need)},
		"rollback_window", "0", "staging_time", "0", "min_versions_kept", 1, "quiet_period", "0"))
	return c
}

func (c *company) logIn(t *testing.T, s *harness.Server, name string) {
	t.Helper()
	s.Must(t, http.MethodPost, "auth/userpass/users/"+name, object("password", name, "token_policies", "people"))
	auth, _ := s.Do(t, http.MethodPost, "auth/userpass/login/"+name, object("password", name)).Body["auth"].(map[string]any)
	c.tokens[name], _ = auth["client_token"].(string)
	c.entities[name], _ = auth["entity_id"].(string)
	require.NotEmpty(t, c.entities[name])
}

// as sends a request of a person to a node.
func (c *company) as(s *harness.Server, name, method, path string, body any) (harness.Reply, error) {
	return s.Send(harness.Request{Method: method, Path: "keylife/" + path, Body: body, Token: c.tokens[name]})
}

func (c *company) must(t *testing.T, s *harness.Server, name, method, path string, body any) map[string]any {
	t.Helper()
	reply, err := c.as(s, name, method, path, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, reply.Status, "%s: %s %s: %v", name, method, path, reply.Body)
	return reply.Data()
}

// insist sends a request to one node after the other, from any, until it is answered, and returns the answer and how often it was
// sent. An answer is what neither says that the node has nobody to forward to, nor that what it forwarded to is gone.
func (c *company) insist(name, path, body string) (reply harness.Reply, tries int, err error) {
	patience := time.After(backAfter)
	first := rand.IntN(len(c.Nodes))
	for tries = 1; ; tries++ {
		reply, err = c.as(c.Nodes[(first+tries)%len(c.Nodes)], name, http.MethodPost, path, body)
		if toldBy(reply.Status, err) != unknown {
			return reply, tries, nil
		}
		select {
		case <-patience:
			return reply, tries, fmt.Errorf("nobody has answered %s: %d %v %w", path, reply.Status, reply.Body, err)
		case <-time.After(loadPace):
		}
	}
}

// old makes a key under pci with a first version that is archived and may be retired.
func (c *company) old(t *testing.T, key string) {
	t.Helper()
	s := c.Active(t)
	for _, path := range []string{"", "/rotate", "/versions/1/archive"} {
		body := object("reason", lifeReason)
		if path == "" {
			body = object("reason", lifeReason, "policy", "pci")
		}
		s.Must(t, http.MethodPost, "keylife/keys/"+key+path, body)
	}
}

func retirement(key string) (path, body string) {
	return "keys/" + key + "/versions/1/retire", object("reason", whyRetired)
}

// ask has alice ask a node for the retirement of the first version, and returns the id of her request.
func (c *company) ask(t *testing.T, s *harness.Server, key string) string {
	t.Helper()
	path, body := retirement(key)
	refused, err := c.as(s, "alice", http.MethodPost, path, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusPreconditionRequired, refused.Status, "%v", refused.Body)
	id := approvalID.FindString(fmt.Sprint(refused.Body))
	require.NotEmpty(t, id, "%v", refused.Body)
	return id
}

// approve sends the vote of a person to a node.
func (c *company) approve(t *testing.T, s *harness.Server, id, name string) map[string]any {
	t.Helper()
	return c.must(t, s, name, http.MethodPost, "approvals/"+id+"/approve", object("comment", "checked by "+name))
}

// requireRead demands that a request reads the same on every node that runs, and returns it.
func (c *company) requireRead(t *testing.T, id, state string, voters ...string) map[string]any {
	t.Helper()
	var first map[string]any
	for _, s := range c.Running() {
		read := c.must(t, s, "alice", http.MethodGet, "approvals/"+id, nil)
		delete(read, "effect") // it says what would be if it were executed now
		if first == nil {
			first = read
		}
		require.Equal(t, first, read, "%s", s.Address())
	}
	require.Equal(t, state, first["state"], "%v", first)
	var counted []string
	votes, _ := first["votes"].([]any)
	for _, v := range votes {
		v, _ := v.(map[string]any)
		require.Equal(t, true, v["counts"], "%v", v)
		entity, _ := v["entity_id"].(string)
		counted = append(counted, c.personOf(entity))
	}
	require.ElementsMatch(t, voters, counted)
	require.Equal(t, len(voters), number(first["given"]))
	return first
}

func (c *company) personOf(entity string) string {
	i := slices.IndexFunc(c.approvers, func(name string) bool { return c.entities[name] == entity })
	if i < 0 {
		return entity
	}
	return c.approvers[i]
}

// requireKept demands that the mount's custody verifies, here and offline, and that it has the retirement of a version as done once,
// by this consent, and the vote of each of these people once.
func (c *company) requireKept(t *testing.T, key, id string, voters ...string) {
	t.Helper()
	s := c.Active(t)
	report := s.Must(t, http.MethodPost, "keylife/custody/verify", "{}")
	require.Equal(t, true, report["valid"], "%v", report)
	require.Empty(t, report["unfinished"])
	var voted []string
	retired := 0
	for _, act := range stories(t, s, "keylife")[key] { // verified offline
		if act.Details["approval"] != id {
			continue
		}
		switch act.Act {
		case "approve":
			voted = append(voted, c.personOf(act.Actor.EntityID))
		case "retire":
			retired++
			require.Equal(t, c.entities["alice"], act.Actor.EntityID)
			for _, name := range voters {
				require.Contains(t, act.Details["approvers"], c.entities[name])
			}
		}
	}
	require.ElementsMatch(t, voters, voted)
	require.Equal(t, 1, retired, "retirements of %s", key)
	require.Equal(t, "retired", s.Must(t, http.MethodGet, "keylife/keys/"+key+"/versions/1", nil)["state"])
}

// crowd is people who insist, all at once.
type crowd struct {
	*company
	people sync.WaitGroup

	mu       sync.Mutex
	answered int
	repeated int      // answers that what was sent again is done
	refused  []string // what is not to be
	enough   int      // answers after which seen is closed
	seen     chan struct{}
}

// send is one request, until it is answered. It has to be answered 200 or, where it is sent again, that it is done, in these words.
func (c *crowd) send(name, path, body, done string) {
	reply, tries, err := c.insist(name, path, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	already := done != "" && tries > 1 && reply.Status == http.StatusBadRequest && strings.Contains(fmt.Sprint(reply.Body), done)
	if err != nil || reply.Status != http.StatusOK && !already {
		c.refused = append(c.refused, fmt.Sprintf("%s: %s: try %d: %d %v %v", name, path, tries, reply.Status, reply.Body, err))
	}
	if already {
		c.repeated++
	}
	if c.answered++; c.answered == c.enough {
		close(c.seen)
	}
}

// killAmid starts work for each item, kills the active node when some requests were answered, and returns it when all were.
func (c *company) killAmid(t *testing.T, answers int, work map[string]func(*crowd)) *harness.Server {
	t.Helper()
	all := &crowd{company: c, enough: answers, seen: make(chan struct{})}
	active := c.Active(t)
	for _, do := range work {
		all.people.Go(func() { do(all) })
	}
	<-all.seen
	active.Kill()
	all.mu.Lock()
	before := all.answered
	all.mu.Unlock()
	all.people.Wait()
	require.Empty(t, all.refused)
	if before == all.answered {
		t.Log("the machine was so fast that all was done before the node died")
	}
	t.Logf("%d of %d requests were answered before the node died; of the others %d were done, and nobody told", before, all.answered, all.repeated)
	return active
}
