// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"fmt"
	"net/http"
	"regexp"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// asker asks for retirements; the approvers vote.
const asker = "alice"

var approvers = []string{"bob", "carol", "dave"}

// People are entities of a cluster, with tokens; one set is enough for all mounts.
type People struct {
	group    string
	accessor string
	tokens   map[string]string // by name
	entities map[string]string
}

// Gather makes the people of a cluster, by a node that answers.
func Gather(s Node) (*People, error) {
	p := &People{group: "key-approvers", tokens: map[string]string{}, entities: map[string]string{}}
	var failed error
	must := func(method, path string, body map[string]any) map[string]any {
		if failed != nil {
			return nil
		}
		reply, err := s.Send(harness.Request{Method: method, Path: path, Body: body})
		if err != nil || reply.Status >= http.StatusBadRequest {
			failed = fmt.Errorf("%s %s: %d %v: %w", method, path, reply.Status, reply.Body, err)
		}
		return reply.Body
	}
	must(http.MethodPost, "sys/auth/userpass", map[string]any{"type": "userpass"})
	must(http.MethodPut, "sys/policies/acl/people", map[string]any{"policy": `path "+/*" { capabilities = ["create", "read", "update", "list"] }`})
	var members []string
	for _, name := range append([]string{asker}, approvers...) {
		must(http.MethodPost, "auth/userpass/users/"+name, map[string]any{"password": name, "token_policies": "people", "token_ttl": "24h"})
		auth, _ := must(http.MethodPost, "auth/userpass/login/"+name, map[string]any{"password": name})["auth"].(map[string]any)
		p.tokens[name], _ = auth["client_token"].(string)
		p.entities[name], _ = auth["entity_id"].(string)
		if name != asker {
			members = append(members, p.entities[name])
		}
	}
	must(http.MethodPost, "identity/group", map[string]any{"name": p.group, "member_entity_ids": members})
	data, _ := must(http.MethodGet, "sys/auth", nil)["data"].(map[string]any)
	mount, _ := data["userpass/"].(map[string]any)
	p.accessor, _ = mount["accessor"].(string)
	return p, failed
}

// enrol makes the approvers approvers of the mount.
func (p *People) enrol(c *client) error {
	settings := map[string]any{"duties": "Look before you consent.", "auth_mount": p.accessor, "approver_wait": "0"}
	if err := c.must(request{http.MethodPost, "config/approvals", settings, ""}); err != nil {
		return err
	}
	duties, err := c.read(request{http.MethodGet, "approvers/duties", nil, ""})
	if err != nil {
		return err
	}
	for _, name := range approvers {
		if err := c.must(request{http.MethodPost, "approvers/acknowledge", map[string]any{"duties_hash": duties["duties_hash"]}, p.tokens[name]}); err != nil {
			return err
		}
	}
	return nil
}

// approvalID finds the id of a request for consent in a refusal.
var approvalID = regexp.MustCompile(`ap-[a-z2-7]{26}`)

// consent has a version of a gated key retired, as rules ask for: asked, approved by two, executed. What the key lacks for it is done
// first; a retirement that is there is taken back.
func (c *client) consent() {
	var key string
	for key == "" || kind(key) != gated {
		key = among(c, c.load.names()...)
	}
	view, ok := c.look(key)
	if !ok || view.state != "enabled" {
		return
	}
	version := max(1, view.latest-1-c.chance.IntN(3))
	path := fmt.Sprintf("keys/%s/versions/%d/", key, version)
	switch state := c.lookVersion(key, version); state {
	case "active", "":
		c.rotate(key, view)
	case "deactivated":
		c.insist(history.Operation{Act: "archive", Key: key, Version: version}, path+"archive", nil)
	case "retired":
		c.insist(history.Operation{Act: "restore", Key: key, Version: version}, path+"restore", nil)
	case "archived":
		c.retire(key, version)
	}
}

// retire is one retirement: each step is repeated until there is an answer.
func (c *client) retire(key string, version int) {
	p := c.load.People
	asked := history.Operation{Act: "retire", Key: key, Version: version, Reason: c.reason("retire")}
	execute := func() (history.Operation, bool) {
		path := fmt.Sprintf("keys/%s/versions/%d/retire", key, version)
		return c.until(asked, request{http.MethodPost, path, map[string]any{}, p.tokens[asker]})
	}
	refused, ok := execute()
	id := approvalID.FindString(refused.Error)
	if !ok || id == "" {
		return
	}
	first := c.chance.IntN(len(approvers))
	for i := range 2 {
		name := approvers[(first+i)%len(approvers)]
		vote := history.Operation{Act: "approve", Key: key, Version: version, Approval: id, Approver: p.entities[name]}
		if _, ok := c.until(vote, request{http.MethodPost, "approvals/" + id + "/approve", map[string]any{}, p.tokens[name]}); !ok {
			return
		}
	}
	asked.Approval = id
	execute()
}

// until sends the same again until there is an answer; false: there was none in time.
func (c *client) until(o history.Operation, r request) (history.Operation, bool) {
	for range 20 {
		told, _ := c.send(o, r)
		if told.Outcome != history.Unknown {
			return told, true
		}
		if !c.rest() {
			return told, false
		}
	}
	return o, false
}
