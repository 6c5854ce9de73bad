// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// How many keys the inventory shows and looks at, unless a request says otherwise, and at most.
const (
	inventoryShown = 100
	inventoryMost  = 1000
	inventoryScan  = 5000
)

var (
	fOfPolicy   = vaultapi.Text("policy", "Only keys that this policy governs. Empty: all.").Query()
	fOfState    = vaultapi.Text("state", "Only keys in this state: enabled, suspended, archived, retired or destroyed. Empty: all.").Query()
	fOfStatus   = vaultapi.Text("status", "Only keys whose rotation has this status: "+strings.Join(statusNames(), ", ")+". Empty: all.").Query()
	fOfType     = vaultapi.Text("type", "Only keys whose active version is of this type. Empty: all.").Query()
	fOfLabel    = vaultapi.Text("label", "Only keys with this label: its name, or name=value. Empty: all.").Query()
	fOfOwner    = vaultapi.Text("owner", "Only keys with exactly this owner. Empty: all.").Query()
	fOfPrefix   = vaultapi.Text("prefix", "Only keys whose name begins so. Empty: all.").Query()
	fRowsLimit  = vaultapi.Int("limit", "Show so many keys, at most 1000. 0: 100.").Query()
	fScan       = vaultapi.Int("scan", "Look at so many keys for one answer, at most 5000. 0: 5000.").Query()
	fStoredUse  = vaultapi.Bool("last_use", "Read, too, when the active version of each key was used last as far as that is stored: one read more for each key that is shown.").Query()
	fInventory  = vaultapi.List("keys", "The keys, in alphabetical order of their names.")
	fScanned    = vaultapi.Int("scanned", "Keys that were looked at for this page.")
	fNextRow    = vaultapi.Text("next", "What to pass as after to go on; empty: this was the last page. Where scan ended the page, it may have few keys, or none, and others follow.")
	fAsOf       = vaultapi.Text("time", "As of when, RFC 3339.")
	fUsesSince  = vaultapi.Text("uses_since", "Since when this node has counted all uses that last_used_time is from, RFC 3339; empty: access_ledger of config/engine is false.")
	inventoryIn = vaultapi.FieldsOf(fOfPolicy, fOfState, fOfStatus, fOfType, fOfLabel, fOfOwner, fOfPrefix, fAfterKey, fRowsLimit, fScan, fStoredUse)
)

func statusNames() (names []string) {
	for _, status := range lifecycle.Statuses() {
		names = append(names, string(status))
	}
	return names
}

// inventoryAPI serves how all keys stand.
type inventoryAPI struct{}

func (a inventoryAPI) paths() []path {
	return []path{{
		Pattern: "inventory/?$", ID: vaultapi.ID{Suffix: "inventory"}, Mode: vaultapi.Strict, Fields: inventoryIn,
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: "Read how keys stand: state, versions, next event, policy, drift, last use.", Answer: "A page of the keys.",
			Fields: vaultapi.FieldsOf(fInventory, fScanned, fNextRow, fAsOf, fUsesSince),
		}},
		Synopsis: "How the keys of the mount stand.",
		Description: "A row for each key that meets all that is asked for: what it is, where it stands, what the clock will do to it next and why, and which rules of its " +
			"policy it does not meet. A page costs a listing, and a read for each key that is not in memory. A key that cannot be read has a row that says so.",
	}}
}

func (a inventoryAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	q, err := a.query(c)
	if err != nil {
		return nil, err
	}
	names, err := a.names(ctx, c, q)
	if err != nil {
		return nil, err
	}
	page, err := c.Keys().Inventory(ctx, names, q)
	if err != nil {
		return nil, err
	}
	now := c.b.engine.Now()
	rows := make([]map[string]any, len(page.Keys))
	for i, k := range page.Keys {
		used, err := a.lastUse(ctx, c, k)
		k.Unreadable = cmp.Or(k.Unreadable, err)
		rows[i] = inventoryData(k, used, now)
	}
	return vaultapi.Data(
		fInventory.Is(rows), fScanned.Is(page.Scanned), fNextRow.Is(page.Next), fAsOf.Is(vaultapi.Time(now)), fUsesSince.Is(vaultapi.Time(c.b.uses.Since())),
	), nil
}

// query reads what is asked for.
func (inventoryAPI) query(c *request) (q engine.InventoryQuery, err error) {
	q = engine.InventoryQuery{
		Prefix: fOfPrefix.Get(c), Policy: fOfPolicy.Get(c), Status: lifecycle.Status(fOfStatus.Get(c)), Type: keytype.Type(fOfType.Get(c)),
		Owner: fOfOwner.Get(c), Label: fOfLabel.Get(c),
	}
	q.After, q.Scan = fAfterKey.Get(c), fScan.Get(c)
	if q.Limit, err = vaultapi.PageSize(c, inventoryShown, inventoryMost); err != nil {
		return q, err
	}
	if q.Scan < 0 || q.Scan > inventoryScan {
		return q, vaultapi.InvalidField(fScan.Name, q.Scan, fmt.Sprintf("must be between 0 and %d", inventoryScan))
	}
	q.Scan = cmp.Or(q.Scan, inventoryScan)
	if name := fOfState.Get(c); name != "" {
		state, ok := lifecycle.ParseKeyState(name)
		if !ok {
			return q, vaultapi.InvalidField(fOfState.Name, name, "must be one of enabled, suspended, archived, retired and destroyed")
		}
		q.State = &state
	}
	if q.Status != "" && !slices.Contains(lifecycle.Statuses(), q.Status) {
		return q, vaultapi.InvalidField(fOfStatus.Name, string(q.Status), "must be one of "+strings.Join(statusNames(), ", "))
	}
	if q.Type != "" {
		_, err = keytype.Parse(string(q.Type))
	}
	return q, err
}

// names returns the keys among which those that are asked for are: the shortest list that there is of them.
func (inventoryAPI) names(ctx context.Context, c *request, q engine.InventoryQuery) (names []string, err error) {
	switch {
	case slices.Contains(lifecycle.Alerts(), q.Status):
		alerts, err := c.stored.AlertIndex().Alerts(ctx, q.Status)
		for _, alerted := range alerts {
			names = append(names, alerted.Name)
		}
		slices.Sort(names)
		return slices.Compact(names), err
	case q.Policy != "":
		if names, err = c.stored.Policies().BoundKeys(ctx, q.Policy); err != nil || len(names) > 0 {
			return names, err
		}
		if _, err = c.Data().Policy(ctx, q.Policy); errors.Is(err, refusal.ErrNotFound) {
			return nil, vaultapi.InvalidField(fOfPolicy.Name, q.Policy, "there is no such policy")
		}
		return nil, nil
	default:
		return c.Keys().Names(ctx)
	}
}

// lastUse returns when a key was used last, as far as that is known; zero: no use is.
func (inventoryAPI) lastUse(ctx context.Context, c *request, k engine.InventoryKey) (time.Time, error) {
	if k.Unreadable != nil {
		return time.Time{}, nil
	}
	last := c.b.uses.LastUse(k.Key.ID)
	version := cmp.Or(k.Key.Primary, k.Key.Latest)
	if !fStoredUse.Get(c) {
		return last, nil
	}
	stored, _, err := c.stored.Uses().Observed(ctx, k.Name, k.Key.ID, version)
	if known := c.b.uses.Known(k.Key.ID, version, stored).Last(); known.After(last) {
		last = known
	}
	return last, err
}

func inventoryData(k engine.InventoryKey, used, now time.Time) map[string]any {
	if k.Unreadable != nil {
		return map[string]any{"name": k.Name, "error": k.Unreadable.Error()}
	}
	data := map[string]any{
		"name": k.Name, "error": "", "type": string(lifecycle.TypesOf(&k.Key).Active()), "state": k.Key.Status.State.String(),
		"status": string(k.Plan.Status), "why": k.Plan.Why,
		"primary_version": k.Key.Primary, "primary_since": "", "primary_age": int64(0), "latest_version": k.Key.Latest, "versions": statesData(k.States),
		"next_event": nil, "policy": k.Key.Policy, "policy_revision": revisionInForce(k.View), "legal_hold": k.Key.Hold,
		"protection": string(k.Protection), "last_used_time": vaultapi.Time(used), "drift": findingsData(k.Drift),
		"owner": k.Key.Owner, "labels": labelsOf(k.Key.Labels), "created_time": vaultapi.Time(k.Key.Created),
	}
	if since := lifecycle.ActiveSince(&k.Key); !since.IsZero() {
		data["primary_since"], data["primary_age"] = vaultapi.Time(since), max(int64(now.Sub(since).Seconds()), 0)
	}
	if k.Next != nil {
		data["next_event"] = happeningData(*k.Next)
	}
	return data
}

// statesData shows how many versions are in which state.
func statesData(states map[lifecycle.State]int) map[string]int {
	data := make(map[string]int, len(states))
	for state, n := range states {
		data[state.String()] = n
	}
	return data
}

// happeningData shows what will happen to a key.
func happeningData(e lifecycle.Forecasted) map[string]any {
	return map[string]any{"at": vaultapi.Time(e.At), "what": e.Act, "version": e.Version, "why": e.Why, "irreversible": e.Irreversible()}
}

// What the calendar shows, unless a request says otherwise, and at most.
const (
	day            = 24 * time.Hour
	calendarSpan   = 31 * day
	calendarMost   = 92 * day
	calendarAhead  = 366 * day // the end of the span, from now on
	calendarKeys   = 100
	calendarKeyMax = 500
)

var (
	fComingFrom  = vaultapi.Text("from", "Events count from then on, RFC 3339. Nothing is before now. Empty: now.").Query()
	fComingTo    = vaultapi.Text("to", "Events count before, RFC 3339. At most 92 days after from, and 366 days from now. Empty: 31 days after from.").Query()
	fComingAfter = vaultapi.Text("after", "Where the page before ended: its next.").Query()
	fComingLimit = vaultapi.Int("limit", "Look at so many keys, at most 500. 0: 100.").Query()
	fComing      = vaultapi.List("events", "What will happen, in the order of its time: at, what, key, version, policy, id, why, irreversible.")
	fCut         = vaultapi.Strings("cut", "Keys to which more happens in the span than is shown of one key.")
	fUnread      = vaultapi.List("unread", "Keys that cannot be read, so that nobody can tell: name, error.")
	fNextComing  = vaultapi.Text("next", "What to pass as after, with the same from and to, to go on; empty: this was the last page.")
)

// calendarAPI serves what will happen on which day.
type calendarAPI struct{}

func (a calendarAPI) paths() []path {
	return []path{{
		Pattern: "calendar/?$", ID: vaultapi.ID{Suffix: "calendar"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fComingFrom, fComingTo, fComingAfter, fComingLimit),
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: "Read what will happen to keys, and what people have to do, in a span of time.", Answer: "A page of what will happen.",
			Fields: vaultapi.FieldsOf(fComing, fCut, fUnread, fNextComing, fComingFrom, fComingTo),
		}},
		Synopsis: "What will happen on which day.",
		Description: "What the clock will do to keys if nobody intervenes and every attempt succeeds: rotations, ends of cryptoperiods and quiet periods, destructions; and until when " +
			"people have to vote, execute, review and drill. Pages follow the due index: a page looks at 500 minutes of it at most, so the events of several pages have to be put in order together.",
	}}
}

func (a calendarAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, calendarKeys, calendarKeyMax)
	if err != nil {
		return nil, err
	}
	span, err := a.span(c)
	if err != nil {
		return nil, err
	}
	page, err := c.Scheduler().Calendar(ctx, scheduler.CalendarQuery{Span: span, After: fComingAfter.Get(c), Limit: limit})
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fComing.Is(vaultapi.Rows(page.Events, comingData)), fCut.Is(append([]string{}, page.Cut...)), fUnread.Is(vaultapi.Rows(page.Unread, unreadData)),
		fNextComing.Is(page.Next), fComingFrom.Is(vaultapi.Time(span.From)), fComingTo.Is(vaultapi.Time(span.To)),
	), nil
}

// span reads which time is asked for.
func (calendarAPI) span(c *request) (s engine.Span, err error) {
	now := c.b.engine.Now().UTC().Truncate(time.Second)
	if s.From, err = timeOf(fComingFrom.Name, fComingFrom.Get(c)); err != nil {
		return s, err
	}
	if s.To, err = timeOf(fComingTo.Name, fComingTo.Get(c)); err != nil {
		return s, err
	}
	if s.From.IsZero() {
		s.From = now
	}
	if s.To.IsZero() {
		s.To = s.From.Add(calendarSpan)
	}
	switch {
	case !s.From.Before(s.To):
		return s, vaultapi.InvalidField(fComingTo.Name, vaultapi.Time(s.To), "must be after from")
	case s.To.Sub(s.From) > calendarMost:
		return s, vaultapi.InvalidField(fComingTo.Name, vaultapi.Time(s.To), "must be at most 92 days after from")
	case s.To.Sub(now) > calendarAhead:
		return s, vaultapi.InvalidField(fComingTo.Name, vaultapi.Time(s.To), "must be at most 366 days from now")
	}
	return s, nil
}

func comingData(e engine.Event) map[string]any {
	data := happeningData(e.Forecasted)
	data["key"], data["policy"], data["id"] = e.Key, e.Policy, e.ID
	return data
}

func unreadData(u scheduler.Unread) map[string]any {
	return map[string]any{"name": u.Name, "error": u.Why.Error()}
}
