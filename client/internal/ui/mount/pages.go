// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"context"
	"net/url"
	"slices"
	"strconv"
)

// Key reads the view of a key.
func (m *Mount) Key(ctx context.Context, name string) Part[Key] {
	return get[Key](ctx, m, read, "keys/"+name, nil, nil)
}

// Rotation reads how the rotation of a key stands.
func (m *Mount) Rotation(ctx context.Context, name string) Part[Rotation] {
	return get[Rotation](ctx, m, read, "keys/"+name+"/rotation", nil, nil)
}

// Versions lists those of a key.
func (m *Mount) Versions(ctx context.Context, name string) Part[Table[Version]] {
	return get[Table[Version]](ctx, m, list, "keys/"+name+"/versions", nil, nil)
}

// Version reads one.
func (m *Mount) Version(ctx context.Context, name string, number int) Part[VersionDetail] {
	return get[VersionDetail](ctx, m, read, "keys/"+name+"/versions/"+strconv.Itoa(number), nil, nil)
}

// Plan reads the next events of a key, at most count.
func (m *Mount) Plan(ctx context.Context, name string, count int) Part[Plan] {
	return get[Plan](ctx, m, read, "keys/"+name+"/plan", Fields{"count": {strconv.Itoa(count)}}, nil)
}

// Acts reads what was done to a key, oldest first. Of a history of more than pages thousand records the rest is left out, and
// more is true.
func (m *Mount) Acts(ctx context.Context, name string, pages int) (acts Part[[]Act], more bool) {
	return m.acts(ctx, "keys/"+name+"/history", pages)
}

// PolicyActs reads what was done to a policy.
func (m *Mount) PolicyActs(ctx context.Context, name string, pages int) (acts Part[[]Act], more bool) {
	return m.acts(ctx, "policies/"+name+"/history", pages)
}

// MountActs reads what was done to the settings of the mount.
func (m *Mount) MountActs(ctx context.Context, pages int) (acts Part[[]Act], more bool) {
	return m.acts(ctx, "config/history", pages)
}

func (m *Mount) acts(ctx context.Context, path string, pages int) (acts Part[[]Act], more bool) {
	var records []Record
	after := 0
	for range pages {
		page := get[History](ctx, m, read, path, Fields{"after": {strconv.Itoa(after)}, "limit": {"1000"}}, nil)
		if page.Missing != nil {
			return Part[[]Act]{Missing: page.Missing}, false
		}
		records = append(records, page.Value.Records...)
		if after = page.Value.Next; after == 0 {
			break
		}
	}
	return Part[[]Act]{Value: actsOf(records)}, after != 0
}

// Status reads how the rotations of the mount stand.
func (m *Mount) Status(ctx context.Context) Part[Status] {
	return get[Status](ctx, m, read, "rotation/status", nil, nil)
}

// Alerts lists the keys that need somebody, at most limit.
func (m *Mount) Alerts(ctx context.Context, limit int) Part[Table[Alert]] {
	return orEmpty(get[Table[Alert]](ctx, m, list, "rotation/status", limitOf(limit), nil))
}

func limitOf(n int) Fields { return Fields{"limit": {strconv.Itoa(n)}} }

// Clock reads the clock guard.
func (m *Mount) Clock(ctx context.Context) Part[Clock] {
	return get[Clock](ctx, m, read, "config/clock", nil, nil)
}

// Inventory reads a page of the keys. The fields are those of the path.
func (m *Mount) Inventory(ctx context.Context, asked url.Values) Part[Inventory] {
	return get[Inventory](ctx, m, read, "inventory", asked, nil)
}

// Calendar reads a page of the events of a span.
func (m *Mount) Calendar(ctx context.Context, asked url.Values) Part[Calendar] {
	return get[Calendar](ctx, m, read, "calendar", asked, nil)
}

// Approvals lists the requests for consent; those in a state, where it is not empty.
func (m *Mount) Approvals(ctx context.Context, state string) Part[Table[Approval]] {
	return orEmpty(get[Table[Approval]](ctx, m, list, "approvals", stateOf(state), nil))
}

func stateOf(state string) Fields {
	fields := limitOf(1000)
	if state != "" {
		fields["state"] = []string{state}
	}
	return fields
}

// Approval reads a request for consent.
func (m *Mount) Approval(ctx context.Context, id string) Part[Approval] {
	return get[Approval](ctx, m, read, "approvals/"+id, nil, nil)
}

// Reviews lists those of acts by break-glass.
func (m *Mount) Reviews(ctx context.Context, state string) Part[Table[Review]] {
	return orEmpty(get[Table[Review]](ctx, m, list, "reviews", stateOf(state), nil))
}

// Review reads one.
func (m *Mount) Review(ctx context.Context, id string) Part[Review] {
	return get[Review](ctx, m, read, "reviews/"+id, nil, nil)
}

// AccessReview reads whether a review of who uses which keys is due.
func (m *Mount) AccessReview(ctx context.Context) Part[AccessReview] {
	return get[AccessReview](ctx, m, read, "access-review", limitOf(1), nil)
}

// UsersOf reads who uses a key.
func (m *Mount) UsersOf(ctx context.Context, key string) Part[AccessReview] {
	return get[AccessReview](ctx, m, read, "access-review", Fields{"key": {key}, "limit": {"100"}}, nil)
}

// Policies lists them, from the one behind after on.
func (m *Mount) Policies(ctx context.Context, after string, limit int) Part[Table[PolicyRow]] {
	fields := limitOf(limit)
	if after != "" {
		fields["after"] = []string{after}
	}
	return orEmpty(get[Table[PolicyRow]](ctx, m, list, "policies", fields, nil))
}

// Policy reads the revision in force, as it was written.
func (m *Mount) Policy(ctx context.Context, name string) Part[Policy] {
	return exact[Policy](ctx, m, "policies/"+name, nil)
}

// Revision reads a revision of a policy, as it was written.
func (m *Mount) Revision(ctx context.Context, name string, number int) Part[Policy] {
	return exact[Policy](ctx, m, "policies/"+name+"/revisions/"+strconv.Itoa(number), nil)
}

// Revisions lists those of a policy.
func (m *Mount) Revisions(ctx context.Context, name string) Part[Table[Revision]] {
	return get[Table[Revision]](ctx, m, list, "policies/"+name+"/revisions", limitOf(1000), nil)
}

// Drift reads which of the first limit bound keys do not meet a policy.
func (m *Mount) Drift(ctx context.Context, name string, limit int) Part[Drift] {
	return get[Drift](ctx, m, read, "policies/"+name+"/drift", limitOf(limit), nil)
}

// PlanPolicy works out what a candidate would change, and writes nothing. The candidate is a document, as HCL.
func (m *Mount) PlanPolicy(ctx context.Context, name, document string) Part[PolicyPlan] {
	return get[PolicyPlan](ctx, m, update, "policies/"+name+"/plan", nil, map[string]any{"document": document, "limit": 100})
}

// Events reads the calendar, at most pages of it, and puts the events in the order of their time. Next is not empty where there
// are more.
func (m *Mount) Events(ctx context.Context, asked url.Values, pages int) (all Part[Calendar]) {
	for range pages {
		page := m.Calendar(ctx, asked)
		if page.Missing != nil {
			return page
		}
		page.Value.Events = append(all.Value.Events, page.Value.Events...)
		page.Value.Cut = append(all.Value.Cut, page.Value.Cut...)
		page.Value.Unread = append(all.Value.Unread, page.Value.Unread...)
		all = page
		if page.Value.Next == "" {
			break
		}
		asked.Set("after", page.Value.Next)
	}
	slices.SortStableFunc(all.Value.Events, func(a, b CalendarEvent) int { return a.At.Compare(b.At.Time) })
	return all
}
