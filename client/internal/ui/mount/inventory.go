// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

// Inventory is a page of the keys.
type Inventory struct {
	Keys      []InventoryKey `json:"keys"`
	Scanned   int            `json:"scanned"`
	Next      string         `json:"next"`
	Time      Time           `json:"time"`
	UsesSince Time           `json:"uses_since"`
}

// InventoryKey is how a key stands.
type InventoryKey struct {
	Name           string            `json:"name"`
	Type           string            `json:"type"`
	State          string            `json:"state"`
	Status         string            `json:"status"`
	Why            string            `json:"why"`
	Primary        int               `json:"primary_version"`
	PrimarySince   Time              `json:"primary_since"`
	PrimaryAge     int64             `json:"primary_age"` // seconds
	Latest         int               `json:"latest_version"`
	Versions       map[string]int    `json:"versions"`
	NextEvent      *CalendarEvent    `json:"next_event"`
	Policy         string            `json:"policy"`
	PolicyRevision int               `json:"policy_revision"`
	Hold           bool              `json:"legal_hold"`
	Protection     string            `json:"protection"`
	LastUsed       Time              `json:"last_used_time"`
	Drift          []Finding         `json:"drift"`
	Owner          string            `json:"owner"`
	Labels         map[string]string `json:"labels"`
	Created        Time              `json:"created_time"`
	Error          string            `json:"error"`
}

// Calendar is a page of events, in the order of their time.
type Calendar struct {
	Events []CalendarEvent `json:"events"`
	Cut    []string        `json:"cut"`
	Unread []struct {
		Name  string `json:"name"`
		Error string `json:"error"`
	} `json:"unread"`
	Next string `json:"next"`
}

// CalendarEvent is something that will happen. Key is empty where it is about no key.
type CalendarEvent struct {
	At           Time   `json:"at"`
	Key          string `json:"key"`
	Policy       string `json:"policy"`
	ID           string `json:"id"`
	Version      int    `json:"version"`
	What         string `json:"what"`
	Why          string `json:"why"`
	Irreversible bool   `json:"irreversible"`
}

// AccessReview is who uses which keys, and whether a review of that is due.
type AccessReview struct {
	Due      bool     `json:"due"`
	DueTime  Time     `json:"due_time"`
	Attested Time     `json:"attested_time"`
	Entities []Entity `json:"entities"`
	Next     string   `json:"next"`
}

// Entity is who used keys.
type Entity struct {
	Entity string   `json:"entity"`
	Name   string   `json:"name"`
	Alive  bool     `json:"alive"`
	Groups []string `json:"groups"`
	Stale  bool     `json:"stale"`
	Keys   []Access `json:"keys"`
}

// Access is what an entity did with a key.
type Access struct {
	Key     string `json:"key"`
	Protect *Kind  `json:"protect"`
	Process *Kind  `json:"process"`
	Manage  *Kind  `json:"manage"`
	Stale   bool   `json:"stale"`
}

// Kind is one kind of it: how often, and from which day to which.
type Kind struct {
	Count int64  `json:"count"`
	First string `json:"first"`
	Last  string `json:"last"`
}
