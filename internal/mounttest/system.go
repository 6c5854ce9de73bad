// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// CountingView is what Vault tells a mount of itself. It counts what an external plugin would have to ask for.
type CountingView struct {
	logical.StaticSystemView
	mu     sync.Mutex
	calls  int
	people map[string]identity
}

// identity is an entity of Vault, and the groups that it is in.
type identity struct {
	entity *logical.Entity
	groups []*logical.Group
}

// Person makes Vault know an entity, with an alias at the auth mount "userpass-1", in place of the one that had the id. A group is
// given by its name; its id is the name and "-id" behind it.
func (v *CountingView) Person(id, name string, groups ...string) {
	v.Entity(&logical.Entity{ID: id, Name: name, Aliases: []*logical.Alias{{MountAccessor: "userpass-1", Name: name}}}, groups...)
}

// Entity makes Vault know an entity, in place of the one that had the id.
func (v *CountingView) Entity(entity *logical.Entity, groups ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	who := identity{entity: entity}
	for _, name := range groups {
		who.groups = append(who.groups, &logical.Group{ID: name + "-id", Name: name})
	}
	if v.people == nil {
		v.people = map[string]identity{}
	}
	v.people[entity.ID] = who
}

// Gone makes Vault know no such entity: it was deleted, or merged into another.
func (v *CountingView) Gone(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.people, id)
}

// Merged makes Vault answer with another entity for an id.
func (v *CountingView) Merged(id, into string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.people[id] = v.people[into]
}

// EntityInfo is logical.SystemView's.
func (v *CountingView) EntityInfo(id string) (*logical.Entity, error) {
	v.called()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.people[id].entity, nil
}

// GroupsForEntity is logical.SystemView's.
func (v *CountingView) GroupsForEntity(id string) ([]*logical.Group, error) {
	v.called()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.people[id].groups, nil
}

// ReplicationState is logical.SystemView's.
func (v *CountingView) ReplicationState() consts.ReplicationState {
	v.called()
	return v.StaticSystemView.ReplicationState()
}

// CachingDisabled is logical.SystemView's.
func (v *CountingView) CachingDisabled() bool {
	v.called()
	return v.StaticSystemView.CachingDisabled()
}

// LocalMount is logical.SystemView's.
func (v *CountingView) LocalMount() bool {
	v.called()
	return v.StaticSystemView.LocalMount()
}

func (v *CountingView) called() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
}

// Reset returns how often Vault was asked, and starts to count anew.
func (v *CountingView) Reset() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.calls
	v.calls = 0
	return n
}

// Log is what the mount logged. Several goroutines may write it.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

var _ io.Writer = (*Log)(nil)

// Write is io.Writer's.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
