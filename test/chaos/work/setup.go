// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"fmt"
	"net/http"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// The kinds of keys, by what their names begin with.
const (
	minute = "minute" // a policy rotates, archives and retires it
	free   = "free"   // no policy
	sign   = "sign"   // signs, no policy
	gated  = "gated"  // retirements need two people
	scrap  = "scrap"  // deleted and made anew, no policy
)

// kinds is what every so many keys are.
var kinds = []string{minute, free, sign, gated, minute, scrap}

// types of keys by kind.
var types = map[string]string{minute: "aes256-gcm96", free: "aes256-gcm96", sign: "ed25519", gated: "chacha20-poly1305", scrap: "aes256-gcm96"}

// names are the keys of a run.
func (l *Load) names() []string {
	all := make([]string, l.Keys)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", kinds[i%len(kinds)], i)
	}
	return all
}

// period is how often the clock rotates the keys of a minute.
const period = time.Minute

var policies = map[string]map[string]any{
	minute: {
		"owner": "chaos", "rotation_period": period.String(), "rotation_jitter": "0", "rollback_window": "0", "staging_time": "0",
		"archive_after": "2m", "retire_after": "2m", "quiet_period": "0", "destroy_delay": "24h", "rotation_retry_base": "1s", "rotation_retry_max": "10s",
	},
	gated: {
		"owner": "chaos", "rotation_mode": "manual", "rotation_jitter": "0", "rollback_window": "0", "staging_time": "0", "min_versions_kept": 1, "quiet_period": "0",
	},
}

func policyOf(kind string) string {
	if policies[kind] == nil {
		return ""
	}
	return kind
}

// setUp makes policies and keys, as operations of the history: what they made is judged, too.
func (l *Load) setUp() error {
	c := l.client("setup", 0)
	if err := c.must(request{http.MethodPost, "config/keys", map[string]any{"disable_upsert": true}, ""}); err != nil {
		return err
	}
	if l.People != nil {
		if err := l.People.enrol(c); err != nil {
			return err
		}
	}
	for name, fields := range policies {
		body := map[string]any{}
		for field, value := range fields {
			body[field] = value
		}
		if name == gated && l.People != nil {
			body["approvals"] = map[string]any{"retire": "2 of " + l.People.group}
		}
		if err := c.must(request{http.MethodPost, "policies/" + name, body, ""}); err != nil {
			return err
		}
	}
	for _, name := range l.names() {
		if o := c.create(name); o.Outcome != history.Done {
			return fmt.Errorf("create %s: %d %s", name, o.Status, o.Error)
		}
	}
	return nil
}

// must sends what is not judged.
func (c *client) must(r request) error {
	_, err := c.read(r)
	return err
}

func (c *client) read(r request) (map[string]any, error) {
	request := harness.Request{Method: r.method, Path: c.load.Mount + "/" + r.path, Token: r.token}
	if r.body != nil {
		request.Body = r.body
	}
	reply, err := c.load.nodes[0].Send(request)
	if err != nil {
		return nil, err
	}
	if reply.Status >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %d %v", r.method, r.path, reply.Status, reply.Body)
	}
	return reply.Data(), nil
}

func (c *client) create(name string) history.Operation {
	body := map[string]any{"type": types[kind(name)], "cas": 0}
	if policy := policyOf(kind(name)); policy != "" {
		body["policy"] = policy
	}
	zero := 0
	o, _ := c.send(history.Operation{Act: "create", Key: name, CAS: &zero, Reason: c.reason("create")}, request{http.MethodPost, "keys/" + name, body, ""})
	return o
}
