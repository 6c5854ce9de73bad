// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

var (
	fCursor     = newField[string]("after", framework.TypeString, "Where the page before ended: its next_after.").query()
	fNextCursor = newField[string]("next_after", framework.TypeString, "What to pass as after for the next page; empty: this was the last one.")
	fLines      = newField[[]string]("records", framework.TypeStringSlice, "The records, each the JSON text that is hashed.")
	fKey        = newField[string]("key", framework.TypeString, "Name of the key. Empty: all keys.")
	fCheckpoint = newField[map[string]any]("checkpoint", framework.TypeMap, "A signed checkpoint to hold the records against.")
)

func (b *backend) pathCustody() []*framework.Path {
	return []*framework.Path{
		b.custodyPath("export", "Export the custody records, to keep and verify them elsewhere.", logical.ReadOperation, b.exportCustody,
			[]declared{fCursor, fLimit}, fields(fLines, fNextCursor),
			"Pages of 500 records, or limit, at most 1000, key by key. `vault-plugin-keylife verify` checks an export offline."),
		b.custodyPath("checkpoint", "Sign how far the records of the keys have come. Keep it outside: only that shows records that were cut off.", logical.UpdateOperation, b.checkpoint,
			[]declared{fKey, fAfter, fLimit}, fields(
				newField[string]("payload", framework.TypeString, "The checkpoint: the exact text that is signed."),
				newField[string]("key_id", framework.TypeString, "Id of the signing key."),
				newField[string]("signature", framework.TypeString, "Base64 Ed25519 signature."),
				newField[[]string]("broken", framework.TypeStringSlice, "Keys whose chain was altered or lost at its end: the checkpoint does not cover them."), fNextCursor),
			"One checkpoint covers 1000 keys, or limit, at most 5000; next_after leads to the next."),
		b.custodyPath("public-key", "Read the public keys that checkpoints are signed with.", logical.ReadOperation, b.publicKeys, nil,
			fields(newField[[]any]("keys", framework.TypeSlice, "The generations, oldest first; each but the first is signed by the one before.")),
			"Whoever trusts the first key, by its id, trusts all that follow from it."),
		b.custodyPath("rotate-key", "Make a new key for checkpoints, signed by the old one.", logical.UpdateOperation, b.rotateCustodyKey, nil,
			fields(newField[[]any]("keys", framework.TypeSlice, "The generations, oldest first.")), "Checkpoints signed before stay valid."),
		b.custodyPath("verify", "Verify the custody records of a key, here.", logical.UpdateOperation, b.verifyCustody,
			[]declared{fKey, fCheckpoint}, fields(
				newField[bool]("valid", framework.TypeBool, "No problem was found."),
				newField[int]("records", framework.TypeInt, "Records verified."),
				newField[[]string]("problems", framework.TypeStringSlice, "What is wrong."),
				newField[[]any]("unfinished", framework.TypeSlice, "Acts that began and have no outcome yet.")),
			"Without a key, all keys, up to 100000 records. With a checkpoint that was kept outside, also that no record behind it was cut off, by hand or by restoring an older snapshot."),
	}
}

func (b *backend) custodyPath(
	name, help string, op logical.Operation, h handler, in []declared, out map[string]*framework.FieldSchema, more string,
) *framework.Path {
	return &framework.Path{
		Pattern:      "custody/" + name,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "custody-" + name},
		Fields:       fields(in...),
		Operations: map[logical.Operation]framework.OperationHandler{
			op: &framework.PathOperation{Callback: b.handleStrict(h), Summary: help, Responses: ok(help, out)},
		},
		HelpSynopsis: help, HelpDescription: help + " " + more,
	}
}

func (b *backend) exportCustody(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := pageOf(c, 500, 1000)
	if err != nil {
		return nil, err
	}
	key, seq, err := readCursor(fCursor.get(c))
	if err != nil {
		return nil, err
	}
	names, err := c.store.JournalNames(ctx)
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearch(names, key)
	lines := []string{}
	for _, name := range names[start:] {
		if name != key {
			seq = 0
		}
		page, err := c.store.Journal(ctx, name, seq, limit-len(lines))
		if err != nil {
			return nil, err
		}
		lines = append(lines, page.Lines...)
		if len(lines) == limit {
			cursor := name + "/" + strconv.Itoa(page.Last)
			return &logical.Response{Data: map[string]any{"records": lines, "next_after": cursor}}, nil
		}
	}
	return &logical.Response{Data: map[string]any{"records": lines, "next_after": ""}}, nil
}

// readCursor splits "name/seq".
func readCursor(text string) (name string, seq int, err error) {
	if text == "" {
		return "", 0, nil
	}
	name, number, found := strings.Cut(text, "/")
	last, err := strconv.ParseInt(number, 10, 32)
	if !found || err != nil || last < 0 {
		return "", 0, lifecycle.InvalidField("after", text, "must be a next_after of this path")
	}
	return name, int(last), nil
}

func (b *backend) checkpoint(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := pageOf(c, 1000, 5000)
	if err != nil {
		return nil, err
	}
	names, next, err := b.checkpointNames(ctx, c, limit)
	if err != nil {
		return nil, err
	}
	heads, broken, err := heads(ctx, c.store, names)
	if err != nil {
		return nil, err
	}
	instance, err := c.store.Instance(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := c.store.AddSigningKey(ctx, b.firstSigningKey)
	if err != nil {
		return nil, err
	}
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: instance, Time: b.now(), Heads: heads}, keys[len(keys)-1])
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"payload": signed.Payload, "key_id": signed.KeyID, "signature": signed.Signature, "broken": broken, "next_after": next,
	}}, nil
}

// heads returns the ends of the journals. Those of which the end was altered or lost are only named: nobody can vouch for
// them.
func heads(ctx context.Context, r requestStore, names []string) (heads []custody.KeyHead, broken []string, err error) {
	heads, broken = []custody.KeyHead{}, []string{}
	for _, name := range names {
		head, err := r.JournalHead(ctx, name)
		switch {
		case errors.Is(err, store.ErrBroken):
			broken = append(broken, name)
		case err != nil:
			return nil, nil, err
		default:
			heads = append(heads, custody.KeyHead{Key: name, Count: head.Count, Hash: head.Hash})
		}
	}
	return heads, broken, nil
}

// checkpointNames returns the keys that a checkpoint is to cover, and where the next one begins.
func (b *backend) checkpointNames(ctx context.Context, c *request, limit int) (names []string, next string, err error) {
	names, err = c.store.JournalNames(ctx)
	if err != nil {
		return nil, "", err
	}
	if key := fKey.get(c); key != "" {
		if _, found := slices.BinarySearch(names, key); !found {
			return nil, "", lifecycle.NoKey(key)
		}
		return []string{key}, "", nil
	}
	start, found := slices.BinarySearch(names, fAfter.get(c))
	if found {
		start++
	}
	if names = names[start:]; len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	return names, next, nil
}

// firstSigningKey makes the mount's signing key where it has none.
func (b *backend) firstSigningKey(keys []custody.SigningKey) (*custody.SigningKey, error) {
	if len(keys) > 0 {
		return nil, nil //nolint:nilnil // nothing to add
	}
	key, err := custody.NewSigningKey(b.rand, b.now(), 1, nil)
	return &key, err
}

func (b *backend) rotateCustodyKey(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.store.AddSigningKey(ctx, func(keys []custody.SigningKey) (*custody.SigningKey, error) {
		if len(keys) == 0 {
			return b.firstSigningKey(keys)
		}
		last := keys[len(keys)-1]
		key, err := custody.NewSigningKey(b.rand, b.now(), len(keys)+1, &last)
		return &key, err
	})
	if err != nil {
		return nil, err
	}
	b.Logger().Info("rotated custody signing key", "generation", len(keys))
	return publicKeysResponse(keys), nil
}

func (b *backend) publicKeys(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		if keys, err = c.store.AddSigningKey(ctx, b.firstSigningKey); err != nil {
			return nil, err
		}
	}
	return publicKeysResponse(keys), nil
}

func publicOf(keys []custody.SigningKey) custody.PublicKeys {
	public := make(custody.PublicKeys, len(keys))
	for i, k := range keys {
		public[i] = k.Public()
	}
	return public
}

func publicKeysResponse(keys []custody.SigningKey) *logical.Response {
	return data("keys", publicOf(keys))
}
