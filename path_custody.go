// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fCursor     = vaultapi.Text("after", "Where the page before ended: its next_after.").Query()
	fNextCursor = vaultapi.Text("next_after", "What to pass as after for the next page; empty: this was the last one.")
	fLines      = vaultapi.Strings("records", "The records, each the JSON text that is hashed.")
	fKey        = vaultapi.Text("key", "Name of the key. Empty: all keys.")
	fPayload    = vaultapi.Text("payload", "The checkpoint: the exact text that is signed.")
	fKeyID      = vaultapi.Text("key_id", "Id of the signing key.")
	fSignature  = vaultapi.Text("signature", "Base64 Ed25519 signature.")
	fBroken     = vaultapi.Strings("broken", "Keys whose chain was altered or lost at its end: the checkpoint does not cover them.")
	fPublicKeys = vaultapi.List("keys", "The generations, oldest first; each but the first is signed by the one before.")
	fNewKeys    = vaultapi.List("keys", "The generations, oldest first.")
)

// custodyAPI serves the custody records: the history of a key, the export, and what proves that both are whole.
type custodyAPI struct {
	now  func() time.Time
	rand io.Reader
	log  hclog.Logger
}

func (a custodyAPI) paths() []path {
	return []path{
		custodyPath("export", "Export the custody records, to keep and verify them elsewhere.", logical.ReadOperation, a.export,
			vaultapi.FieldsOf(fCursor, vaultapi.Limit), vaultapi.FieldsOf(fLines, fNextCursor),
			"Pages of 500 records, or limit, at most 1000, key by key. `vault-plugin-keylife verify` checks an export offline."),
		custodyPath("checkpoint", "Sign how far the records of the keys have come. Keep it outside: only that shows records that were cut off.", logical.UpdateOperation, a.checkpoint,
			vaultapi.FieldsOf(fKey, vaultapi.After, vaultapi.Limit), vaultapi.FieldsOf(fPayload, fKeyID, fSignature, fBroken, fNextCursor),
			"One checkpoint covers 1000 keys, or limit, at most 5000; next_after leads to the next."),
		custodyPath("public-key", "Read the public keys that checkpoints are signed with.", logical.ReadOperation, a.publicKeys,
			vaultapi.Fields{}, vaultapi.FieldsOf(fPublicKeys),
			"Whoever trusts the first key, by its id, trusts all that follow from it."),
		custodyPath("rotate-key", "Make a new key for checkpoints, signed by the old one.", logical.UpdateOperation, a.rotateKey,
			vaultapi.Fields{}, vaultapi.FieldsOf(fNewKeys), "Checkpoints signed before stay valid."),
		custodyPath("verify", "Verify the custody records of a key, here.", logical.UpdateOperation, a.verify,
			vaultapi.FieldsOf(fKey, fCheckpoint), vaultapi.FieldsOf(fValid, fVerified, fProblems, fUnfinished),
			"Without a key, all keys, up to 100000 records. With a checkpoint that was kept outside, also that no record behind it was cut off, by hand or by restoring an older snapshot."),
		a.historyPath(),
	}
}

func custodyPath(name, help string, op logical.Operation, h handler, in, out vaultapi.Fields, more string) path {
	return path{
		Pattern: "custody/" + name, ID: vaultapi.ID{Suffix: "custody-" + name}, Mode: vaultapi.Strict, Fields: in,
		Operations: operations{op: {Handle: h, Summary: help, Answer: help, Fields: out}},
		Synopsis:   help, Description: help + " " + more,
	}
}

func (a custodyAPI) export(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 500, 1000)
	if err != nil {
		return nil, err
	}
	key, seq, err := readCursor(fCursor.Get(c))
	if err != nil {
		return nil, err
	}
	names, err := c.stored.Journals().JournalNames(ctx)
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearch(names, key)
	lines := []string{}
	for _, name := range names[start:] {
		if name != key {
			seq = 0
		}
		page, err := c.stored.Journals().Journal(ctx, name, seq, limit-len(lines))
		if err != nil {
			return nil, err
		}
		lines = append(lines, page.Lines...)
		if len(lines) == limit {
			cursor := name + "/" + strconv.Itoa(page.Last)
			return vaultapi.Data(fLines.Is(lines), fNextCursor.Is(cursor)), nil
		}
	}
	return vaultapi.Data(fLines.Is(lines), fNextCursor.Is("")), nil
}

// readCursor splits "name/seq".
func readCursor(text string) (name string, seq int, err error) {
	if text == "" {
		return "", 0, nil
	}
	name, number, found := strings.Cut(text, "/")
	last, err := strconv.ParseInt(number, 10, 32)
	if !found || err != nil || last < 0 {
		return "", 0, vaultapi.InvalidField(fCursor.Name, text, "must be a next_after of this path")
	}
	return name, int(last), nil
}

func (a custodyAPI) checkpoint(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 1000, 5000)
	if err != nil {
		return nil, err
	}
	names, next, err := checkpointNames(ctx, c, limit)
	if err != nil {
		return nil, err
	}
	heads, broken, err := heads(ctx, c.stored.Journals(), names)
	if err != nil {
		return nil, err
	}
	instance, err := c.stored.KEKs().Instance(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := c.stored.Signing().AddSigningKey(ctx, a.firstSigningKey)
	if err != nil {
		return nil, err
	}
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: instance, Time: a.now(), Heads: heads}, keys[len(keys)-1])
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fPayload.Is(signed.Payload), fKeyID.Is(signed.KeyID), fSignature.Is(signed.Signature), fBroken.Is(broken), fNextCursor.Is(next),
	), nil
}

// heads returns the ends of the journals. Those of which the end was altered or lost are only named: nobody can vouch for
// them.
func heads(ctx context.Context, r store.Journals, names []string) (heads []custody.KeyHead, broken []string, err error) {
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
func checkpointNames(ctx context.Context, c *request, limit int) (names []string, next string, err error) {
	names, err = c.stored.Journals().JournalNames(ctx)
	if err != nil {
		return nil, "", err
	}
	if key := fKey.Get(c); key != "" {
		if _, found := slices.BinarySearch(names, key); !found {
			return nil, "", lifecycle.NoKey(key)
		}
		return []string{key}, "", nil
	}
	if names = vaultapi.Behind(names, vaultapi.After.Get(c)); len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	return names, next, nil
}

// firstSigningKey makes the mount's signing key where it has none.
func (a custodyAPI) firstSigningKey(keys []custody.SigningKey) (*custody.SigningKey, error) {
	if len(keys) > 0 {
		return nil, nil //nolint:nilnil // nothing to add
	}
	key, err := custody.NewSigningKey(a.rand, a.now(), 1, nil)
	return &key, err
}

func (a custodyAPI) rotateKey(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.stored.Signing().AddSigningKey(ctx, func(keys []custody.SigningKey) (*custody.SigningKey, error) {
		if len(keys) == 0 {
			return a.firstSigningKey(keys)
		}
		last := keys[len(keys)-1]
		key, err := custody.NewSigningKey(a.rand, a.now(), len(keys)+1, &last)
		return &key, err
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("rotated custody signing key", "generation", len(keys))
	return publicKeysResponse(keys), nil
}

func (a custodyAPI) publicKeys(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.stored.Signing().SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		if keys, err = c.stored.Signing().AddSigningKey(ctx, a.firstSigningKey); err != nil {
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
	return vaultapi.Data(fPublicKeys.Is(publicOf(keys)))
}
