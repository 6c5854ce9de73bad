// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// client is one of them. It sends a request at a time.
type client struct {
	load   *Load
	name   string
	chance *rand.Rand
	node   int
}

func (c *client) work(act func(*client)) {
	for c.rest() {
		act(c)
	}
}

// rest waits for the next request; false: there is none.
func (c *client) rest() bool {
	pause := time.NewTimer(c.load.Pace/2 + time.Duration(c.chance.Int64N(int64(c.load.Pace))))
	defer pause.Stop()
	select {
	case <-c.load.context.Done():
		return false
	case <-pause.C:
		return true
	}
}

// request is what a client sends.
type request struct {
	method, path string
	body         map[string]any
	token        string
}

// send sends an operation to the node that answered last, notes what it was told, and goes to another node where it was told nothing.
func (c *client) send(o history.Operation, r request) (history.Operation, harness.Reply) {
	o, reply := c.ask(o, r)
	c.load.History.Append(o)
	return o, reply
}

// ask is send without the note.
func (c *client) ask(o history.Operation, r request) (history.Operation, harness.Reply) {
	l := c.load
	node := l.nodes[c.node%len(l.nodes)]
	o.ID, o.Client, o.Node = l.History.Next(), c.name, node.Address()
	if o.Reason != "" && r.method == http.MethodDelete {
		r.path += "?reason=" + url.QueryEscape(o.Reason)
	} else if o.Reason != "" {
		r.body["reason"] = o.Reason
	}
	patience, cancel := context.WithTimeout(context.Background(), l.Impatient)
	defer cancel()
	o.Sent = l.History.Since(time.Now())
	l.mu.Lock()
	if l.sent != nil {
		l.sent(o)
	}
	l.mu.Unlock()
	request := harness.Request{Method: r.method, Path: l.Mount + "/" + r.path, Token: r.token, Context: patience}
	if r.body != nil {
		request.Body = r.body
	}
	reply, err := node.Send(request)
	o.Answered = l.History.Since(time.Now())
	told(&o, reply, err)
	if o.Outcome == history.Unknown || c.chance.IntN(16) == 0 {
		c.node++
	}
	return o, reply
}

func told(o *history.Operation, reply harness.Reply, err error) {
	o.Status = reply.Status
	switch {
	case err != nil:
		o.Outcome, o.Error = history.Unknown, err.Error()
	case reply.Status >= http.StatusInternalServerError:
		o.Outcome = history.Unknown
	case reply.Status >= http.StatusBadRequest:
		o.Outcome = history.Refused
	default:
		o.Outcome = history.Done
	}
	if errs, _ := reply.Body["errors"].([]any); len(errs) > 0 {
		o.Error = fmt.Sprint(errs...)
	}
	o.RequestID, _ = reply.Body["request_id"].(string)
	data := reply.Data()
	o.Revision, o.Latest = number(data["revision"]), number(data["latest_version"])
}

// number reads a number of an answer; zero where it is none.
func number(value any) int {
	n, _ := value.(json.Number)
	i, _ := n.Int64() // zero where it is none, which no version is
	return int(i)
}

// versionOf reads the version from a ciphertext or a signature: vault:v3:...
func versionOf(text string) int {
	var version int
	if _, err := fmt.Sscanf(text, "vault:v%d:", &version); err != nil {
		return 0
	}
	return version
}

// reason makes a text that no other request has.
func (c *client) reason(act string) string {
	return fmt.Sprintf("%s of %s, number %d of seed %d", act, c.name, c.load.History.Next(), c.load.Seed)
}

// among draws one of several.
func among[T any](c *client, these ...T) T { return these[c.chance.IntN(len(these))] }

// kind is what a name says of a key.
func kind(key string) string { return strings.SplitN(key, "-", 2)[0] }
