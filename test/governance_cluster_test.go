// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A consent is of people, and no server that dies takes it away or counts it twice.
func TestConsentOutlivesTheActiveNode(t *testing.T) {
	t.Parallel()
	c := found(t, 3, "bob", "carol", "dave", "erin")
	voters := c.approvers[:3]
	approved := func(t *testing.T, key string) string {
		t.Helper()
		c.old(t, key)
		s := c.Active(t)
		id := c.ask(t, s, key)
		for _, name := range voters {
			c.approve(t, s, id, name)
		}
		return id
	}

	t.Run("a vote is sent to a standby", func(t *testing.T) {
		c.old(t, "standby")
		standbys := c.Standbys(t)
		require.Len(t, standbys, 2)
		id := c.ask(t, standbys[0], "standby")
		c.approve(t, standbys[0], id, "bob")
		c.requireRead(t, id, "pending", "bob")
		c.approve(t, standbys[1], id, "carol")
		c.approve(t, standbys[0], id, "carol") // once more
		c.requireRead(t, id, "pending", "bob", "carol")
		c.approve(t, c.Active(t), id, "dave")
		c.requireRead(t, id, "approved", voters...)
		path, body := retirement("standby")
		c.must(t, standbys[1], "alice", http.MethodPost, path, body)
		c.requireRead(t, id, "executed", voters...)
		c.requireKept(t, "standby", id, voters...)
	})

	t.Run("the active node dies between the last vote and the execution", func(t *testing.T) {
		id := approved(t, "before")
		dead := c.KillActive(t)
		path, body := retirement("before")
		reply, _, err := c.insist("alice", path, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, reply.Status, "%v", reply.Body)
		require.NotEqual(t, dead, c.Active(t))
		c.requireRead(t, id, "executed", voters...)
		c.requireKept(t, "before", id, voters...)
		dead.Restart(t)
		c.requireRead(t, id, "executed", voters...)
	})

	t.Run("the active node dies right after the execution", func(t *testing.T) {
		id := approved(t, "after")
		path, body := retirement("after")
		active := c.Active(t)
		c.must(t, active, "alice", http.MethodPost, path, body)
		active.Kill()
		require.NotEqual(t, active, c.Active(t))
		c.requireRead(t, id, "executed", voters...)
		c.requireKept(t, "after", id, voters...)
		reply, _, err := c.insist("alice", path, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, reply.Status)
		require.Contains(t, fmt.Sprint(reply.Body), isRetired)
		c.requireRead(t, id, "executed", voters...)
		c.requireKept(t, "after", id, voters...)
		active.Restart(t)
	})

	t.Run("the active node dies while votes come in", func(t *testing.T) { c.voteUnderFire(t) })
}

const (
	ballots   = 8 // keys, each with a request
	votesSeen = 6 // are answered before the active node dies
)

// voteUnderFire has all people vote on all requests at once, and kills the active node meanwhile; and once more while all that was
// approved is executed. What was answered is not sent again; what was not, is.
func (c *company) voteUnderFire(t *testing.T) {
	ids := map[string]string{}
	for n := range ballots {
		key := fmt.Sprintf("ballot-%d", n)
		c.old(t, key)
		ids[key] = c.ask(t, c.Active(t), key)
	}
	votes, executions := map[string]func(*crowd){}, map[string]func(*crowd){}
	for _, name := range c.approvers {
		votes[name] = func(people *crowd) {
			for _, id := range ids {
				people.send(name, "approvals/"+id+"/approve", object("comment", "checked by "+name), "")
			}
		}
	}
	for key := range ids {
		path, body := retirement(key)
		executions[key] = func(people *crowd) { people.send("alice", path, body, isRetired) }
	}
	c.killAmid(t, votesSeen, votes).Restart(t)
	for _, id := range ids {
		c.requireRead(t, id, "approved", c.approvers...)
	}
	c.killAmid(t, 1, executions)
	for key, id := range ids {
		c.requireRead(t, id, "executed", c.approvers...)
		c.requireKept(t, key, id, c.approvers...)
	}
}
