// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fVersion      = vaultapi.Int("version", "Number of the version.")
	fVersionState = vaultapi.Text("state", "pre_active, active, deactivated, suspended, archived, compromised, retired or destroyed.")
	fVersionMade  = vaultapi.Text("created_time", "When the version was made, RFC 3339.")
	fReport       = vaultapi.List("versions", "The versions reported as compromised, and what each has protected.")
)

// versionsAPI serves what there is to know of the versions of a key.
type versionsAPI struct{}

func (a versionsAPI) paths() []path {
	return []path{
		{
			Pattern: "keys/" + named + "/versions/?$", ID: vaultapi.ID{Suffix: "key-versions"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName, vaultapi.AfterNumber, vaultapi.Limit),
			Operations: operations{logical.ListOperation: {
				Handle: a.list, Summary: "List the versions of a key with their states.", Answer: "Numbers of the versions, and what is known of each.",
				Fields: tableFields("By version: its state, when it was made and is destroyed, and its denied uses."),
			}},
			Synopsis:    "List the versions of a key.",
			Description: "Oldest first, the destroyed ones among them. With limit, a page; after takes the last number of the page before.",
		},
		{
			Pattern: "keys/" + named + `/versions/(?P<version>\d+)`, ID: vaultapi.ID{Suffix: "key-version"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName, fVersion),
			Operations: operations{logical.ReadOperation: {
				Handle: a.read, Summary: "Read a version of a key: its state, dates and last change. Never its material.",
				Answer: "The version.", Fields: versionAnswer.Fields(),
			}},
			Synopsis:    "Read a version of a key.",
			Description: "State, dates, fingerprint, denied uses, and who changed it last and why.",
		},
		{
			Pattern: "keys/" + named + "/compromise-report", ID: vaultapi.ID{Suffix: "key-compromise-report"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName),
			Operations: operations{logical.ReadOperation: {
				Handle: a.compromiseReport, Summary: "Read what of a key is affected by compromises.", Answer: "The report.",
				Fields: vaultapi.FieldsOf(fName, fReport),
			}},
			Synopsis:    "What of a key is affected by compromises.",
			Description: "For every version reported as compromised: reason, dates, from when to when it protected data, and whether it still processes and can be rewrapped from. What it protected starts with vault:v<version>: and has to be rewrapped; where rewraps is false, a custodian recovers the version first.",
		},
	}
}

// versionRows show versions in a table.
var versionRows = versionAnswer.Only("state", "created_time", "destroy_time", "denied_uses", "last_denied_time")

func (a versionsAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	view, err := c.Keys().Summary(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	listing, err := vaultapi.ListNumbers(ctx, c, view.Key.Latest)
	if err != nil || len(listing.Names) == 0 {
		return logical.ListResponse(nil), err
	}
	of := lifecycle.Range{From: number(listing.Names[0]), To: number(listing.Names[len(listing.Names)-1])}
	dates, err := c.stored.Versions().DatesOf(ctx, view.Key, of)
	if err != nil {
		return nil, err
	}
	denied, deniedErr := c.Data().DeniedUsesOf(ctx, view.Key, of)
	resp, err := vaultapi.Table(ctx, listing.WithAllRows(), versionRows, func(name string) (*version, error) {
		n := number(name)
		return &version{VersionDetail: engine.VersionDetail{
			Version: lifecycle.Version{Number: n, Created: dates[n]}, Type: lifecycle.TypesOf(&view.Key).Of(n), State: view.Key.State(n), Override: view.Key.Override(n), Denied: denied[n],
		}}, nil
	})
	if err == nil && deniedErr != nil {
		resp.AddWarning(unreadDenials + deniedErr.Error())
	}
	return resp, err
}

// number reads a name that is one.
func number(name string) int {
	n, _ := strconv.Atoi(name)
	return n
}

const unreadDenials = "denied uses that are stored cannot be read, so those shown are at most of the last minute: "

// version is what a read of a version shows.
type version struct {
	key string
	engine.VersionDetail
	used   dataplane.Used
	seen   uses.Observed
	names  map[string]string // by entity: those of who used it last, as Vault has them
	change custody.Record    // zero: none is known
}

var versionAnswer = vaultapi.Answer[version]{
	vaultapi.Show(fName, func(v version) string { return v.key }),
	vaultapi.Show(fVersion, func(v version) int { return v.Number }),
	vaultapi.Show(fVersionState, func(v version) string { return v.State.String() }),
	vaultapi.Show(vaultapi.Text("type", "Type of the version."), func(v version) string { return string(v.Type) }),
	vaultapi.Show(fVersionMade, func(v version) string { return vaultapi.Time(v.Created) }),
	vaultapi.Show(vaultapi.Text("state_time", "Since when it is in a state of its own, RFC 3339; empty: its state follows from the key's."),
		func(v version) string { return vaultapi.Time(v.Override.At) }),
	vaultapi.Show(vaultapi.Text("destroy_time", "When it is destroyed, RFC 3339; empty: it is not retired."),
		func(v version) string { return vaultapi.Time(v.Override.DestroyAt) }),
	vaultapi.Show(vaultapi.Text("archive_time", "When it is archived again, RFC 3339; empty: no time limit."),
		func(v version) string { return vaultapi.Time(v.Override.ArchiveTime()) }),
	vaultapi.Show(fLevel, func(v version) string { return string(v.Protection) }),
	vaultapi.Show(vaultapi.Text("fingerprint", "One-way digest of the material; of a key on the token, of what names it there."), func(v version) string { return v.Fingerprint }),
	vaultapi.Show(vaultapi.Bool("material_pending", "Its material may not be where the state says yet: a tick moves or erases it."),
		func(v version) bool { return v.Pending }),
	vaultapi.Show(vaultapi.Bool("locked", "It was out of use when it was reported as compromised: nothing opens it until it is recovered."),
		func(v version) bool { return v.Override.Locked }),
	vaultapi.Show(vaultapi.Text("public_key", "Public key, PEM or for Ed25519 base64; empty for symmetric types and derived keys."), func(v version) string { return v.PublicKey }),
	vaultapi.Show(vaultapi.Bool("private_key_erased", "Its private half is erased, or about to be, as it signs never again; the rest stays where its state says."),
		func(v version) bool { return v.PrivateErased }),
	vaultapi.Show(vaultapi.Text("compromise_reason_code", "KMIP revocation reason, if the version was reported as compromised."),
		func(v version) string { return v.Override.Compromise.Code }),
	vaultapi.Show(vaultapi.Text("compromise_occurred_time", "When it happened, as reported, RFC 3339."),
		func(v version) string { return vaultapi.Time(v.Override.Compromise.Occurred) }),
	vaultapi.Show(vaultapi.Text("compromise_reported_time", "When it was reported, RFC 3339."),
		func(v version) string { return vaultapi.Time(v.Override.Compromise.Reported) }),
	vaultapi.Show(vaultapi.Int64("encryptions", "Encryptions, as far as a limit has them counted."), func(v version) int64 { return v.used.Encryptions }),
	vaultapi.Show(vaultapi.Int64("bytes", "Bytes of plaintext that it encrypted."), func(v version) int64 { return v.used.Bytes }),
	vaultapi.Show(vaultapi.Int("denied_uses", "Uses denied because of the state."), func(v version) int { return v.Denied.Count }),
	vaultapi.Show(vaultapi.Text("first_denied_time", "The first of them, RFC 3339."), func(v version) string { return vaultapi.Time(v.Denied.First) }),
	vaultapi.Show(vaultapi.Text("last_denied_time", "The last of them, RFC 3339."), func(v version) string { return vaultapi.Time(v.Denied.Last) }),
	vaultapi.Show(vaultapi.Object("used", "By operation: count, first_time and last_time, RFC 3339, as far as uses were counted."),
		func(v version) map[string]any { return usedData(v.seen) }),
	vaultapi.Show(vaultapi.List("used_by", "Up to 16 entities that used it last, the newest first: entity, name, operation, time. Without a name: it is no entity, or Vault has none of the id any more."),
		func(v version) []any { return usersData(v.seen, v.names) }),
	vaultapi.Show(vaultapi.Object("last_change", "The newest act on the version in the custody record: who, when and why."),
		func(v version) map[string]any { return changeData(v.change) }),
	vaultapi.Show(vaultapi.Text("last_change_time", "When that was, RFC 3339; empty: it is not known."), func(v version) string { return vaultapi.Time(v.change.Time) }),
	vaultapi.Show(vaultapi.Text("last_change_act", "What it was."), func(v version) string { return v.change.Act }),
	vaultapi.Show(vaultapi.Text("last_change_by", "Display name or entity id of who asked; system: the clock."),
		func(v version) string { return actorText(v.change.Actor) }),
	vaultapi.Show(vaultapi.Text("last_change_reason", "Why."), func(v version) string { return v.change.Reason }),
}

func (a versionsAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	detail, err := c.Versions().Read(ctx, fName.Get(c), fVersion.Get(c))
	if err != nil {
		return nil, err
	}
	change, err := lastChange(ctx, c, detail)
	if err != nil {
		return nil, err
	}
	k, err := c.Data().Governed(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	seen, leased, err := c.stored.Uses().Observed(ctx, k.Name, k.ID, detail.Number)
	if err != nil {
		return nil, err
	}
	seen = c.b.uses.Known(k.ID, detail.Number, seen)
	names, unnamed := directory{c.b.System()}.names(ctx, usersOf(seen))
	resp := versionAnswer.Of(version{fName.Get(c), detail, c.b.plane.UsedOf(k, detail.Number, leased), seen, names, change})
	if unnamed != nil {
		resp.AddWarning("names of entities in used_by are left out: " + unnamed.Error())
	}
	if detail.DeniedErr != nil {
		resp.AddWarning(unreadDenials + detail.DeniedErr.Error())
	}
	return resp, nil
}

func usedData(o uses.Observed) map[string]any {
	data := map[string]any{}
	for op, seen := range o.Ops {
		data[string(op)] = map[string]any{"count": seen.Count, "first_time": vaultapi.Time(seen.First), "last_time": vaultapi.Time(seen.Last)}
	}
	return data
}

// usersOf returns the entities that used a version last, each once.
func usersOf(o uses.Observed) (entities []string) {
	for _, user := range o.By {
		if uses.IsEntity(user.Entity) {
			entities = append(entities, user.Entity)
		}
	}
	return entities
}

func usersData(o uses.Observed, names map[string]string) []any {
	rows := make([]any, len(o.By))
	for i, user := range o.By {
		row := map[string]any{"entity": user.Entity, "operation": string(user.Op), "time": vaultapi.Time(user.Time)}
		if name := names[user.Entity]; name != "" {
			row["name"] = name
		}
		rows[i] = row
	}
	return rows
}

func (a versionsAPI) compromiseReport(ctx context.Context, c *request) (*logical.Response, error) {
	report, err := c.Versions().CompromiseReport(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fName.Is(fName.Get(c)), fReport.Is(vaultapi.Rows(report, affectedData))), nil
}

func affectedData(row engine.Affected) map[string]any {
	return map[string]any{
		"version": row.Version, "state": row.State.String(), "reason_code": row.Compromise.Code,
		"occurred_time": vaultapi.Time(row.Compromise.Occurred), "reported_time": vaultapi.Time(row.Compromise.Reported),
		"protected_from": vaultapi.Time(row.From), "protected_until": vaultapi.Time(row.Until), "processes": row.Processes, "rewraps": row.Rewraps,
		"ciphertext_prefix": "vault:v" + strconv.Itoa(row.Version) + ":", "replaced_by": row.ReplacedBy,
	}
}
