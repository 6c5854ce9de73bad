// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"fmt"
	"net/http"
	"regexp"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// people are alice, who asks, and bob, who approves, and carol, who could. What becomes of a request is told by the key that it is about.
type people struct {
	alice, bob, carol string // tokens
	asked             int
}

const (
	group    = "soak-approvers"
	governed = "governed"
)

// fates of requests for consent, each of a key of its own: an execution voids what else is asked about its key. One that is left expires.
var fates = []string{"executed", "denied", "withdrawn", "left"}

// employ makes the people, in Vault's identity, and the keys that are theirs.
func (p *people) employ(m *mount) (err error) {
	put := func(to string, in body) map[string]any {
		if err != nil {
			return nil
		}
		var reply harness.Reply
		reply, err = m.server.Send(harness.Request{Method: http.MethodPut, Path: to, Body: in})
		if err == nil && reply.Status >= http.StatusBadRequest {
			err = fmt.Errorf("%s: %d: %v", to, reply.Status, reply.Body["errors"])
		}
		if auth, ok := reply.Body["auth"].(map[string]any); ok {
			return auth
		}
		return reply.Data()
	}
	put("sys/policies/acl/soak", body{"policy": "path \"keylife/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }"})
	put("sys/auth/soak", body{"type": "userpass"})
	auths, err2 := m.server.Client().Sys().ListAuth()
	if err2 != nil {
		return err2
	}
	tokens, entities := map[string]string{}, map[string]any{}
	for _, name := range []string{"alice", "bob", "carol"} {
		entities[name] = put("identity/entity", body{"name": name, "policies": []string{"soak"}})["id"]
		put("identity/entity-alias", body{"name": name, "canonical_id": entities[name], "mount_accessor": auths["soak/"].Accessor})
		put("auth/soak/users/"+name, body{"password": "a password"})
		tokens[name], _ = put("auth/soak/login/"+name, body{"password": "a password"})["client_token"].(string)
	}
	p.alice, p.bob, p.carol = tokens["alice"], tokens["bob"], tokens["carol"]
	put("identity/group", body{"name": group, "member_entity_ids": []any{entities["bob"], entities["carol"]}})
	put(path+"config/approvals", body{"duties": "I look at what I approve.", "approver_wait": 0})
	if err != nil {
		return err
	}
	return p.govern(m)
}

func (p *people) govern(m *mount) error {
	duties, err := m.askAs(p.bob, http.MethodGet, "approvers/duties", nil, http.StatusOK)
	if err != nil {
		return err
	}
	for _, token := range []string{p.bob, p.carol} {
		if _, err := m.askAs(token, http.MethodPost, "approvers/acknowledge", body{"duties_hash": duties["duties_hash"]}, http.StatusOK); err != nil {
			return err
		}
	}
	rules := body{
		"owner": "soak", "rotation_mode": "manual", "approvals": body{"rotate": "1 of " + group}, "approval_ttl": "5m", "execution_ttl": "5m",
	}
	if _, err := m.post("policies/"+governed, rules); err != nil {
		return err
	}
	for _, fate := range fates {
		if _, err := m.post("keys/"+governed+"-"+fate, body{"policy": governed}); err != nil {
			return err
		}
	}
	return nil
}

// turn has alice ask for something each time, of which another thing becomes each time.
func (p *people) turn(m *mount) func() {
	return func() {
		fate := fates[p.asked%len(fates)]
		p.asked++
		m.did("consent: "+fate, p.ask(m, fate))
	}
}

var requestID = regexp.MustCompile(`ap-[a-z2-7]{26}`)

func (p *people) ask(m *mount, fate string) error {
	act, in := "keys/"+governed+"-"+fate+"/rotate", body{"reason": fmt.Sprintf("CHG-%06d: part of the soak", p.asked)}
	refusal, err := m.askAs(p.alice, http.MethodPost, act, in, http.StatusPreconditionRequired)
	if err != nil {
		return err
	}
	to := "approvals/" + requestID.FindString(fmt.Sprint(refusal["errors"]))
	switch fate {
	case "executed":
		if _, err = m.askAs(p.bob, http.MethodPost, to+"/approve", body{}, http.StatusOK); err == nil {
			_, err = m.askAs(p.alice, http.MethodPost, act, in, http.StatusOK)
		}
	case "denied":
		_, err = m.askAs(p.bob, http.MethodPost, to+"/deny", body{"reason": reason}, http.StatusOK)
	case "withdrawn":
		_, err = m.askAs(p.alice, http.MethodPost, to+"/withdraw", body{"reason": reason}, http.StatusOK)
	}
	return err
}

// consent tells how many requests there are in each state.
func (m *mount) consent() (map[string]int, error) {
	states := map[string]int{}
	for after := ""; ; {
		out, err := m.ask(http.MethodGet, "approvals?list=true&limit=500&after="+after, nil, http.StatusOK)
		if err != nil {
			if len(states) > 0 || after != "" {
				return states, nil // no more: an empty list is not found
			}
			return states, err
		}
		names, _ := out["keys"].([]any)
		rows, _ := out["key_info"].(map[string]any)
		for _, name := range names {
			id, _ := name.(string)
			row, _ := rows[id].(map[string]any)
			state, _ := row["state"].(string)
			states[state]++
			after = id
		}
		if len(names) == 0 {
			return states, nil
		}
	}
}
