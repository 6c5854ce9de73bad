// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fPolicyName     = newField[string]("name", framework.TypeString, "Name of the policy.")
	fDescription    = newField[string]("description", framework.TypeString, "What the policy is for. Free text.")
	fPolicyOwner    = newField[string]("owner", framework.TypeString, "Who answers for the policy. Required.")
	fAllowedTypes   = newField[[]string]("allowed_types", framework.TypeCommaStringSlice, "Key types that a bound key may have. Empty: any.")
	fMinStrength    = newField[int]("min_strength_bits", framework.TypeInt, "Least security strength of a bound key's type, in bits (SP 800-57 Part 1, 5.6.1).").or(112)
	fRotationPeriod = newField[string]("rotation_period", framework.TypeString, `Time between rotations: a duration such as "90d" or "12h", or a number of seconds; at least 1m. 0: none.`).or("90d")
	fRotationJitter = newField[string]("rotation_jitter", framework.TypeString, `How far rotations are spread: a percentage of the period such as "5%", or a duration; at most 25% of the period.`).or("5%")
	fRotationMode   = newField[string]("rotation_mode", framework.TypeString, "auto: the engine rotates. manual, notify: the key is raised as overdue and an operator rotates.").or(string(lifecycle.Auto))
	fPinned         = newField[bool]("allow_pinned_encrypt", framework.TypeBool, "A version that is not the active one may encrypt for callers who name it.")
	fStaging        = newField[string]("staging_time", framework.TypeString, "How long a new version is pre-active before it encrypts. 0: not at all.").or("0")
	fRollbackWindow = newField[string]("rollback_window", framework.TypeString, "How long after a promotion it can be rolled back. Empty: a day, at most a quarter of the rotation period.")
	fOriginator     = newField[string]("originator_period", framework.TypeString, "Where an operator rotates: how long a version encrypts at most. 0: no limit. Empty: a year, or the rotation period if that is longer.")
	fArchiveAfter   = newField[string]("archive_after", framework.TypeString, "How long after deactivation a version is archived. 0: never by the clock.").or("0")
	fRetireAfter    = newField[string]("retire_after", framework.TypeString, "How long after archiving a version is retired. 0: never by the clock.").or("0")
	fQuietPeriod    = newField[string]("quiet_period", framework.TypeString, "How long an archived version must have had no denied use before it is retired.").or("14d")
	fDestroyDelay   = newField[string]("destroy_delay", framework.TypeString, "Time between retiring and destroying, 24h to 3650d. A change is for retirements that follow.").or("30d")
	fMinKept        = newField[int]("min_versions_kept", framework.TypeInt, "Readable versions that archiving leaves.").or(2)
	fCompromisedUse = newField[string]("compromised_processing", framework.TypeString, "allow or deny: whether compromised versions decrypt.").or(string(lifecycle.Allow))
	fSuspendedUse   = newField[string]("suspended_processing", framework.TypeString, "allow or deny: whether suspended versions decrypt.").or(string(lifecycle.Deny))
	fRequireReason  = newField[[]string]("require_reason", framework.TypeCommaStringSlice, "Operations that need a reason of at least 10 bytes.")
	fRevision       = newField[int]("revision", framework.TypeInt, "Revision to read. 0: the one in force.")
	policyContent   = []declared{
		fPolicyName, fDescription, fPolicyOwner, fAllowedTypes, fMinStrength, fRotationPeriod, fRotationJitter, fRotationMode, fPinned,
		fStaging, fRollbackWindow, fOriginator, fArchiveAfter, fRetireAfter, fQuietPeriod, fDestroyDelay, fMinKept, fCompromisedUse,
		fSuspendedUse, fRequireReason,
	}
	policyFields = with(fields(policyContent...), fRevision,
		newField[string]("hash", framework.TypeString, "SHA-256 of the revision's canonical JSON, in hex."),
		newField[string]("created_time", framework.TypeString, "When the revision was written, RFC 3339."))
)

func (b *backend) pathPolicies() []*framework.Path {
	write := &framework.PathOperation{
		Callback:     b.strict(b.writePolicy),
		Summary:      "Write a policy. What is not given stays as it is, or gets its default in a new policy.",
		DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "write"},
		Responses:    ok("The revision in force.", policyFields),
	}
	return []*framework.Path{
		b.lister("policies/?$", "policies", "policies", b.engine.PolicyNames),
		{
			Pattern:        "policies/" + framework.GenericNameRegex(fPolicyName.name),
			DisplayAttrs:   &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "policy"},
			Fields:         with(fields(policyContent...), fRevision, fCAS, fReason),
			ExistenceCheck: b.existence(b.policyExists),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.CreateOperation: write,
				logical.UpdateOperation: write,
				logical.ReadOperation: &framework.PathOperation{
					Callback:     b.strict(b.readPolicy),
					Summary:      "Read a policy.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read"},
					Responses:    ok("The revision.", policyFields),
				},
				logical.DeleteOperation: &framework.PathOperation{
					Callback:     b.strict(b.deletePolicy),
					Summary:      "Delete a policy and its revisions. Refused while a key is bound to it.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "delete"},
					Responses:    done("There is no such policy any more."),
				},
			},
			HelpSynopsis: "Write, read and delete a policy.",
			HelpDescription: "A policy says which keys may be bound to it and when they rotate. Each write that changes it makes a new, " +
				"immutable revision, and the keys bound to it follow with the next ticks. Durations and jitter read back as they were written.",
		},
	}
}

func (b *backend) writePolicy(ctx context.Context, c *call) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	if revision := fRevision.given(c); revision != nil {
		return nil, lifecycle.InvalidField("revision", *revision, "is for reading; use cas to write on condition")
	}
	edit := func(doc lifecycle.Document) (lifecycle.Document, error) { return editPolicy(c, doc) }
	policy, err := b.engine.PutPolicy(ctx, c.repo, fPolicyName.get(c), edit, pre)
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}

func (b *backend) readPolicy(ctx context.Context, c *call) (*logical.Response, error) {
	revision := fRevision.get(c)
	if revision < 0 {
		return nil, lifecycle.InvalidField("revision", revision, "must not be negative")
	}
	policy, err := b.engine.Policy(ctx, c.repo, fPolicyName.get(c), revision)
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}

func (b *backend) deletePolicy(ctx context.Context, c *call) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, b.engine.DeletePolicy(ctx, c.repo, fPolicyName.get(c), pre)
}

func (b *backend) policyExists(ctx context.Context, c *call) error {
	_, err := b.engine.Policy(ctx, c.repo, fPolicyName.get(c), 0)
	return err
}
