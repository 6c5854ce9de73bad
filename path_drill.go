// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fDrillVersion = vaultapi.Int("version", "Number of the version that leaked, as the drill has it. 0: the active one.")
	fDrillRecord  = vaultapi.Bool("record", "Keep in custody that there was a drill, and what came of it. Otherwise nothing is written.")
)

// drillAPI serves rehearsals of a compromise.
type drillAPI struct{}

func (a drillAPI) paths() []path {
	row, _ := acts.Of(acts.Key, acts.Drill)
	return []path{{
		Pattern: "keys/" + named + "/drill", ID: vaultapi.ID{Verb: "drill", Suffix: "key"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fName, fDrillVersion, fOccurredAt, fDrillRecord, fReason),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.drill, Summary: row.Help, Answer: "What would follow.", Fields: drillAnswer.Fields(),
		}},
		Synopsis: row.Help,
		Description: row.Help + " It runs what a report runs, on a copy of the key, as if everybody did their part as soon as it is possible. " +
			"With record, custody keeps it: the evidence that there was a drill.",
	}}
}

// drilled is a drill as it is shown.
type drilled struct {
	key string
	engine.Drilled
	recorded bool
}

var drillAnswer = vaultapi.Answer[drilled]{
	vaultapi.Show(fName, func(d drilled) string { return d.key }),
	vaultapi.Show(vaultapi.Int("version", "The version that would be reported as compromised."), func(d drilled) int { return d.Version }),
	vaultapi.Show(vaultapi.Int("successor", "The version that would take over from it. 0: none would, or it is not the active one."),
		func(d drilled) int { return d.Successor }),
	vaultapi.ShowAs(vaultapi.List("timeline", "What would follow, in order."),
		func(d drilled) any {
			return vaultapi.Rows(d.Steps, func(s lifecycle.DrillStep) map[string]any { return stepData(s, d.At) })
		}),
	vaultapi.ShowAs(vaultapi.List("blast_radius", "The versions that whoever could read the material of this one could read, too, the newest first."),
		func(d drilled) any { return vaultapi.Rows(d.Radius, exposedData) }),
	vaultapi.Show(vaultapi.Int("more_versions", "How many older ones are not listed."), func(d drilled) int { return d.Unlisted }),
	vaultapi.ShowAs(vaultapi.List("obstacles", "What would hold it up: the act, and why."),
		func(d drilled) any {
			return vaultapi.Rows(d.Obstacles, func(o engine.Obstacle) map[string]any { return map[string]any{"act": o.Act, "why": o.Why} })
		}),
	vaultapi.Show(vaultapi.Bool("recorded", "Custody keeps this drill."), func(d drilled) bool { return d.recorded }),
	vaultapi.Show(vaultapi.Text("last_drill", "When a drill of the key was last kept, this one included, RFC 3339; empty: never."),
		func(d drilled) string { return vaultapi.Time(d.Last) }),
	vaultapi.Show(vaultapi.Text("next_drill", "When the next one is due by drill_every of the policy, RFC 3339; empty: none is."),
		func(d drilled) string { return vaultapi.Time(d.Next) }),
}

func (a drillAPI) drill(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	in := engine.Drilling{Version: fDrillVersion.Get(c), Record: fDrillRecord.Get(c), Reason: pre.Reason}
	if in.Version < 0 {
		return nil, vaultapi.InvalidField(fDrillVersion.Name, in.Version, "must not be negative")
	}
	if in.Occurred, err = timeOf(fOccurredAt.Name, fOccurredAt.Get(c)); err != nil {
		return nil, err
	}
	found, err := c.Versions().Drill(ctx, fName.Get(c), in)
	if err != nil {
		return nil, err
	}
	return drillAnswer.Of(drilled{fName.Get(c), found, in.Record}), nil
}

func stepData(s lifecycle.DrillStep, from time.Time) map[string]any {
	return map[string]any{
		"time": vaultapi.Time(s.At), "after": schedule.DurationText(s.At.Sub(from)), "act": s.Act, "version": s.Version, "possible": !s.Refused, "why": s.Why,
	}
}

func exposedData(e engine.Exposed) map[string]any {
	return map[string]any{
		"version": e.Version, "state": e.State.String(), "protected_from": vaultapi.Time(e.From), "protected_until": vaultapi.Time(e.Until),
		"protected_since_occurred": e.Since, "processes": e.Processes, "rewraps": e.Rewraps, "encryptions": e.Used.Encryptions, "bytes": e.Used.Bytes,
		"denied_uses": e.Denied.Count, "last_denied_time": vaultapi.Time(e.Denied.Last),
	}
}
