// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

// effects are what parts of acts do, which have no row of their own in the catalogue.
var effects = map[acts.Gate]string{
	acts.GateUnhold:    "The legal hold is lifted: the key can be retired, destroyed and deleted again.",
	acts.GateRebind:    "The key comes under another policy, which is looser, or under none.",
	acts.GateConfigure: "The key may be deleted, exported or backed up from then on.",
	acts.GatePolicy:    "The policy becomes looser, or is deleted: what it asks of its keys, and whose consent, changes with it.",
	acts.GateEnrol:     "Somebody becomes an approver, or is one no longer.",
	acts.GateApprovals: "Other rules say whose consent acts on the mount need, and who is an approver.",
	acts.GateConfig:    "Settings of the mount change.",
}

// effect says what a request does when it is executed, in a sentence.
func (s Approvals) effect(ctx context.Context, c consent.Content, at time.Time) string {
	if text, known := effects[c.Operation]; known {
		return text
	}
	if c.Operation == acts.Gate(acts.Retire) {
		if p, err := s.data.Policy(ctx, c.Policy.Name); err == nil {
			delay := p.DestroyDelay.Duration
			return fmt.Sprintf("What is retired is destroyed %s later, on %s if it is executed now, and can be restored until then.", p.DestroyDelay.Text, at.Add(delay).UTC().Format(time.DateOnly))
		}
	}
	all := acts.All()
	if i := slices.IndexFunc(all, func(a acts.Act) bool { return a.Gate == c.Operation }); i >= 0 {
		return all[i].Help
	}
	return ""
}
