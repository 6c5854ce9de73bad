// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"fmt"
	"net/http"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// sensible is what operators mostly do to a version, by its state. One time in eight they do what does not fit.
var sensible = map[string][]string{
	"pre_active":  {"promote", "promote", "suspend", "retire"},
	"active":      {"suspend", "rotate", "rotate", "rotate", "compromise"},
	"deactivated": {"archive", "archive", "suspend", "rotate", "compromise"},
	"suspended":   {"resume", "resume", "resume", "rotate"},
	"archived":    {"recover", "recover", "retire", "rotate"},
	"compromised": {"recover", "retire", "rotate"},
	"retired":     {"restore", "restore", "rotate"},
	"destroyed":   {"rotate"},
}

var anything = []string{"promote", "suspend", "resume", "archive", "recover", "retire", "restore", "compromise", "rotate"}

// operate is what an operator does: to a version, or to a key.
func (c *client) operate() {
	key := among(c, c.load.names()...)
	if kind(key) == scrap && c.chance.IntN(3) == 0 {
		c.renew(key)
		return
	}
	view, ok := c.look(key)
	if !ok {
		return
	}
	if c.chance.IntN(4) == 0 || view.state != "enabled" {
		c.operateKey(key, view)
		return
	}
	version := max(1, view.latest-c.chance.IntN(4))
	state := c.lookVersion(key, version)
	acts := sensible[state]
	if c.chance.IntN(8) == 0 || len(acts) == 0 {
		acts = anything
	}
	act := among(c, acts...)
	if act == "compromise" && c.chance.IntN(3) > 0 {
		act = "rotate" // it is for ever
	}
	if act == "rotate" {
		c.rotate(key, view)
		return
	}
	c.insist(history.Operation{Act: act, Key: key, Version: version}, fmt.Sprintf("keys/%s/versions/%d/%s", key, version, act), nil)
}

// insist does an act, and where it is told nothing mostly asks another node, as an act of its own.
func (c *client) insist(o history.Operation, path string, fields map[string]any) {
	for range 3 {
		o.Reason = c.reason(o.Act)
		body := map[string]any{}
		for name, value := range fields {
			body[name] = value
		}
		told, _ := c.send(o, request{http.MethodPost, path, body, ""})
		if told.Outcome != history.Unknown || c.chance.IntN(4) == 0 || !c.rest() {
			return
		}
	}
}

func (c *client) rotate(key string, view keyView) {
	o, body := history.Operation{Act: "rotate", Key: key}, map[string]any{}
	switch c.chance.IntN(4) {
	case 0:
		o.CAS = &view.revision
		body["cas"] = view.revision
	case 1:
		if policyOf(kind(key)) == "" {
			o.Stage = true
			body["stage"] = true
		}
	}
	c.insist(o, "keys/"+key+"/rotate", body)
}

// sensibleKey is the same of whole keys.
var sensibleKey = map[string][]string{
	"enabled":   {"suspend", "suspend", "hold", "hold", "rollback", "archive", "floor", "trim"},
	"suspended": {"resume", "resume", "resume", "archive"},
	"archived":  {"recover", "recover", "recover", "retire"},
	"retired":   {"restore"},
}

func (c *client) operateKey(key string, view keyView) {
	acts := sensibleKey[view.state]
	if len(acts) == 0 {
		return
	}
	path := "keys/" + key
	switch act := among(c, acts...); act {
	case "hold":
		hold := !view.hold
		c.insist(history.Operation{Act: act, Key: key, Hold: &hold}, path+"/hold", map[string]any{"hold": hold})
	case "floor":
		floor := 1 + c.chance.IntN(max(1, view.latest))
		c.insist(history.Operation{Act: "configure", Key: key, Floor: floor}, path+"/config", map[string]any{"min_decryption_version": floor, "min_encryption_version": floor})
	case "trim":
		c.insist(history.Operation{Act: act, Key: key, Floor: view.floor}, path+"/trim", map[string]any{"min_available_version": view.floor})
	default:
		c.insist(history.Operation{Act: act, Key: key}, path+"/"+act, nil)
	}
}

// renew deletes a key, or makes it anew.
func (c *client) renew(key string) {
	if c.chance.IntN(2) == 0 {
		c.create(key)
		return
	}
	c.insist(history.Operation{Act: "configure", Key: key}, "keys/"+key+"/config", map[string]any{"deletion_allowed": true})
	c.send(history.Operation{Act: "delete", Key: key, Reason: c.reason("delete")}, request{http.MethodDelete, "keys/" + key, nil, ""})
}

// keyView is what operators go by.
type keyView struct {
	state                   string
	latest, floor, revision int
	hold                    bool
}

func (c *client) look(key string) (keyView, bool) {
	o, reply := c.send(history.Operation{Act: "read", Key: key}, request{http.MethodGet, "keys/" + key, nil, ""})
	d := reply.Data()
	state, _ := d["state"].(string)
	return keyView{state, o.Latest, number(d["min_decryption_version"]), o.Revision, d["legal_hold"] == true}, o.Outcome == history.Done
}

func (c *client) lookVersion(key string, version int) (state string) {
	o, reply := c.ask(history.Operation{Act: "read-version", Key: key, Version: version}, request{http.MethodGet, fmt.Sprintf("keys/%s/versions/%d", key, version), nil, ""})
	o.Fingerprint, _ = reply.Data()["fingerprint"].(string)
	o.State, _ = reply.Data()["state"].(string)
	c.load.History.Append(o)
	return o.State
}
