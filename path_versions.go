// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

var versionFields = fields(fName, fVersion,
	newField[string]("state", framework.TypeString, "pre_active, active, deactivated, suspended, archived, compromised, retired or destroyed."),
	newField[string]("created_time", framework.TypeString, "When the version was made, RFC 3339."),
	newField[string]("state_time", framework.TypeString, "Since when it is in a state of its own, RFC 3339; empty: its state follows from the key's."),
	newField[string]("destroy_time", framework.TypeString, "When it is destroyed, RFC 3339; empty: it is not retired."),
	newField[string]("archive_time", framework.TypeString, "When it is archived again, RFC 3339; empty: no time limit."),
	newField[string]("fingerprint", framework.TypeString, "One-way digest of the material."),
	newField[bool]("material_pending", framework.TypeBool, "Its material may not be where the state says yet: a tick moves or erases it."),
	newField[bool]("locked", framework.TypeBool, "It was out of use when it was reported as compromised: nothing opens it until it is recovered."),
	newField[string]("public_key", framework.TypeString, "Public key; empty for symmetric types."),
	newField[string]("compromise_reason_code", framework.TypeString, "KMIP revocation reason, if the version was reported as compromised."),
	newField[string]("compromise_occurred_time", framework.TypeString, "When it happened, as reported, RFC 3339."),
	newField[string]("compromise_reported_time", framework.TypeString, "When it was reported, RFC 3339."),
	newField[int64]("encryptions", framework.TypeInt64, "Encryptions, as far as a limit has them counted."),
	newField[int64]("bytes", framework.TypeInt64, "Bytes of plaintext that it encrypted."),
	newField[int]("denied_uses", framework.TypeInt, "Uses denied because of the state."),
	newField[string]("first_denied_time", framework.TypeString, "The first of them, RFC 3339."),
	newField[string]("last_denied_time", framework.TypeString, "The last of them, RFC 3339."),
	newField[map[string]any]("last_change", framework.TypeMap, "The newest act on the version in the custody record: who, when and why."),
)

func (b *backend) pathVersions() []*framework.Path {
	name := "keys/" + framework.GenericNameRegex(fName.name)
	return []*framework.Path{
		{
			Pattern:      name + "/versions/?$",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-versions"},
			Fields:       fields(fName, fAfterNumber, fLimit),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.listVersions), Summary: "List the versions of a key with their states.",
					Responses: ok("Numbers of the versions, and what is known of each.", fields(fKeys, newField[map[string]any]("key_info", framework.TypeMap, "State and creation time by version."))),
				},
			},
			HelpSynopsis:    "List the versions of a key.",
			HelpDescription: "Oldest first, the destroyed ones among them. With limit, a page; after takes the last number of the page before.",
		},
		{
			Pattern:      name + `/versions/(?P<version>\d+)`,
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-version"},
			Fields:       fields(fName, fVersion),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.readVersion), Summary: "Read a version of a key: its state, dates and last change. Never its material.",
					Responses: ok("The version.", versionFields),
				},
			},
			HelpSynopsis:    "Read a version of a key.",
			HelpDescription: "State, dates, fingerprint, denied uses, and who changed it last and why.",
		},
		{
			Pattern:      name + "/compromise-report",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-compromise-report"},
			Fields:       fields(fName),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.compromiseReport), Summary: "Read what of a key is affected by compromises.",
					Responses: ok("The report.", fields(fName, newField[[]any]("versions", framework.TypeSlice, "The versions reported as compromised, and what each has protected."))),
				},
			},
			HelpSynopsis:    "What of a key is affected by compromises.",
			HelpDescription: "For every version reported as compromised: reason, dates, from when to when it protected data, and whether it still processes and can be rewrapped from. What it protected starts with vault:v<version>: and has to be rewrapped; where rewraps is false, a custodian recovers the version first.",
		},
	}
}

func (b *backend) listVersions(ctx context.Context, c *request) (*logical.Response, error) {
	view, err := b.engine.Read(ctx, c.store, fName.get(c))
	if err != nil {
		return nil, err
	}
	page, err := numberPage(c, view.Key.Latest)
	if err != nil {
		return nil, err
	}
	dates, err := c.store.Dates(ctx, view.Key, page.From)
	if err != nil {
		return nil, err
	}
	names, info := []string{}, map[string]any{}
	for v := page.From; v <= page.To; v++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		number := strconv.Itoa(v)
		names = append(names, number)
		info[number] = map[string]any{"state": view.Key.State(v).String(), "created_time": timeText(dates[v])}
	}
	return logical.ListResponseWithInfo(names, info), nil
}

func (b *backend) readVersion(ctx context.Context, c *request) (*logical.Response, error) {
	detail, err := b.engine.ReadVersion(ctx, c.store, fName.get(c), fVersion.get(c))
	if err != nil {
		return nil, err
	}
	change, err := b.lastChange(ctx, c, detail)
	if err != nil {
		return nil, err
	}
	used, err := b.engine.Usage(ctx, c.store, fName.get(c), detail.Number)
	if err != nil {
		return nil, err
	}
	override := detail.Override
	data := map[string]any{
		"name": fName.get(c), "version": detail.Number, "state": detail.State.String(), "created_time": timeText(detail.Created),
		"state_time": timeText(override.At), "destroy_time": timeText(override.DestroyTime()), "archive_time": timeText(override.ArchiveTime()), "fingerprint": detail.Fingerprint, "public_key": "",
		"compromise_reason_code": override.Compromise.Code, "compromise_occurred_time": timeText(override.Compromise.Occurred),
		"compromise_reported_time": timeText(override.Compromise.Reported), "denied_uses": detail.Denied.Count,
		"first_denied_time": timeText(detail.Denied.First), "last_denied_time": timeText(detail.Denied.Last), "last_change": change,
		"material_pending": detail.Pending, "locked": override.Locked, "encryptions": used.Encryptions, "bytes": used.Bytes,
	}
	resp := &logical.Response{Data: data}
	if detail.DeniedErr != nil {
		resp.AddWarning("denied uses that are stored cannot be read, so those shown are at most of the last minute: " + detail.DeniedErr.Error())
	}
	return resp, nil
}

func (b *backend) compromiseReport(ctx context.Context, c *request) (*logical.Response, error) {
	report, err := b.engine.CompromiseReport(ctx, c.store, fName.get(c))
	if err != nil {
		return nil, err
	}
	rows := make([]map[string]any, len(report))
	for i, row := range report {
		rows[i] = map[string]any{
			"version": row.Version, "state": row.State.String(), "reason_code": row.Compromise.Code,
			"occurred_time": timeText(row.Compromise.Occurred), "reported_time": timeText(row.Compromise.Reported),
			"protected_from": timeText(row.From), "protected_until": timeText(row.Until), "processes": row.Processes, "rewraps": row.Rewraps,
			"ciphertext_prefix": "vault:v" + strconv.Itoa(row.Version) + ":", "replaced_by": row.ReplacedBy,
		}
	}
	return &logical.Response{Data: map[string]any{"name": fName.get(c), "versions": rows}}, nil
}
