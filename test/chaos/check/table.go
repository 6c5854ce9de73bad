// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

// The states, as docs/lifecycle.md names them.
const (
	preActive   = "pre_active"
	active      = "active"
	deactivated = "deactivated"
	suspended   = "suspended"
	archived    = "archived"
	compromised = "compromised"
	retired     = "retired"
	destroyed   = "destroyed"
	enabled     = "enabled" // of a whole key
	none        = "none"    // before it is made
)

// step is an act on something in a state.
type step struct{ act, from string }

// versionSteps are the transitions of versions: where an act leads from a state.
var versionSteps = map[step][]string{
	{"create", none}:            {active},
	{"rotate", none}:            {active, preActive},
	{"promote", preActive}:      {active},
	{"rollback", deactivated}:   {active},
	{"lapse", active}:           {deactivated},
	{"suspend", preActive}:      {suspended},
	{"suspend", active}:         {suspended},
	{"suspend", deactivated}:    {suspended},
	{"resume", suspended}:       {preActive, active, deactivated, archived},
	{"archive", deactivated}:    {archived},
	{"archive", archived}:       {archived}, // that only the floor had archived
	{"recover", archived}:       {deactivated},
	{"recover", compromised}:    {compromised},
	{"retire", archived}:        {retired},
	{"retire", preActive}:       {retired},
	{"retire", compromised}:     {retired},
	{"restore", retired}:        {archived, compromised, preActive},
	{"destroy", retired}:        {destroyed},
	{"compromise", preActive}:   {compromised},
	{"compromise", active}:      {compromised},
	{"compromise", deactivated}: {compromised},
	{"compromise", suspended}:   {compromised},
	{"compromise", archived}:    {compromised},
	{"compromise", retired}:     {compromised},
}

// keySteps are those of whole keys.
var keySteps = map[step][]string{
	{"suspend", enabled}:   {suspended},
	{"resume", suspended}:  {enabled},
	{"archive", enabled}:   {archived},
	{"archive", suspended}: {archived},
	{"recover", archived}:  {enabled, suspended},
	{"retire", archived}:   {retired},
	{"restore", retired}:   {archived},
	{"destroy", retired}:   {destroyed},
}

// permission is what a state lets be done. The zero value is no.
type permission int

const (
	never permission = iota
	always
	unlocked // compromised: unless it was out of use when it was reported
	public   // by the public half: unless it was reported, or is below the floor
)

// permissions are by state of the version: decrypt and verify of what it made, and rewrap from it.
var permissions = map[string]struct{ process, rewrap, verify permission }{
	preActive:   {always, never, always},
	active:      {always, always, always},
	deactivated: {always, always, always},
	suspended:   {never, never, never},
	archived:    {never, never, public},
	compromised: {unlocked, unlocked, unlocked},
	retired:     {never, never, public},
	destroyed:   {never, never, public},
}
