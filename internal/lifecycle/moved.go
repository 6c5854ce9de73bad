// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// What moved to packages of its own, by the names that it had here.
type (
	Policy            = policy.Policy
	Document          = policy.Document
	Governance        = policy.Governance
	EffectiveRules    = policy.EffectiveRules
	LongerQuietPeriod = policy.LongerQuietPeriod
	Finding           = policy.Finding
	Limits            = policy.Limits
	Usage             = policy.Usage
	RotationMode      = policy.RotationMode
	Requirement       = policy.Requirement
	Permission        = policy.Permission
	OnLimit           = policy.OnLimit
	Span              = schedule.Span
	Jitter            = schedule.Jitter
	Type              = keytype.Type
)

const (
	Auto          = policy.Auto
	Manual        = policy.Manual
	Notify        = policy.Notify
	Optional      = policy.Optional
	Required      = policy.Required
	Allow         = policy.Allow
	Deny          = policy.Deny
	OnLimitRotate = policy.OnLimitRotate
	OnLimitBlock  = policy.OnLimitBlock
	LimitByType   = policy.LimitByType
	Unlimited     = policy.Unlimited
	MaxSpan       = schedule.MaxSpan

	DefaultType      = keytype.Default
	AES128GCM96      = keytype.AES128GCM96
	AES256GCM96      = keytype.AES256GCM96
	ChaCha20Poly1305 = keytype.ChaCha20Poly1305
)

var (
	NewPolicy       = policy.New
	StoredPolicy    = policy.Stored
	Unreadable      = policy.Unreadable
	DefaultDocument = policy.DefaultDocument

	ParseType = keytype.Parse
	TypeNames = keytype.Names

	ErrInvalid    = refusal.ErrInvalid
	ErrNotFound   = refusal.ErrNotFound
	ErrExists     = refusal.ErrExists
	ErrConflict   = refusal.ErrConflict
	ErrRefused    = refusal.ErrRefused
	ErrDenied     = refusal.ErrDenied
	ErrRepeated   = refusal.ErrRepeated
	ErrUnreadable = refusal.ErrUnreadable
	ErrReadBack   = refusal.ErrReadBack

	Invalidf         = refusal.Invalidf
	InvalidField     = refusal.InvalidField
	FieldOf          = refusal.FieldOf
	NoKey            = refusal.NoKey
	NoVersion        = refusal.NoVersion
	NoPolicy         = refusal.NoPolicy
	UnreadablePolicy = refusal.UnreadablePolicy
	Existsf          = refusal.Existsf
	Refusedf         = refusal.Refusedf
	deniedf          = refusal.Deniedf
	CheckRevision    = refusal.CheckRevision

	checkLabels = policy.CheckLabels
)
