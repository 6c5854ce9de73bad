// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"slices"
	"time"
)

// Order is what goes with an operation.
type Order struct {
	At         time.Time
	Behind     string // why no date of this clock can be trusted; empty: it can
	Rules      EffectiveRules
	Until      time.Time // Recover: archive it again then; zero: as the policy says
	LastDenied time.Time // of the version, or of any version for a whole key; zero: never
	Code       string    // ReportCompromise: a KMIP revocation reason
	Occurred   time.Time // ReportCompromise; zero: unknown, taken as now
}

// Step is what happened to one version or, with Version 0, to a whole key.
type Step struct {
	ID       string // row of the transition table
	Op       Op
	Version  int
	From, To string
}

// Urgent reports an operation that stops a key or a version, or lets it go on: no bound on the record holds it back, and
// nothing damaged beside it.
func (op Op) Urgent() bool { return op == ReportCompromise || op == Suspend || op == Resume }

// Apply returns the key after an operation on one of its versions. The error is [ErrInvalid] for a version that
// does not exist and [ErrRefused] where state or rules forbid it.
func (k Key) Apply(op Op, v int, o Order) (Key, Step, error) {
	from := k.versionState(v)
	if from == NoState {
		return k, Step{}, Invalidf("version: %d: key %q has versions 1 to %d", v, k.Name, k.Latest)
	}
	if !k.Status.admits(op, from) {
		return k, Step{}, Refusedf("version %d: key %q is %s as a whole; use the operations of the key", v, k.Name, k.Status.State)
	}
	row, err := k.row(op, from, v)
	if err != nil {
		return k, Step{}, err
	}
	if err := k.guard(row, v, o); err != nil {
		return k, Step{}, err
	}
	next := k
	next.Overrides = maps.Clone(k.Overrides)
	next.move(row, v, o)
	next.compactDestroyed()
	next.share()
	if len(next.Overrides) == 0 {
		next.Overrides = nil // as it will be read back
	}
	next.Revision = after(k.Revision)
	if err := k.checkOverrides(next, op.Urgent()); err != nil {
		return k, Step{}, err
	}
	return next, Step{ID: row.id, Op: op, Version: v, From: from.String(), To: next.versionState(v).String()}, nil
}

// row returns the row of the table for an operation on version v. A version that only the floor archives can be archived
// for good, and has to be before it is retired: its quiet period begins there. A version is reported once, also where it
// was retired since.
func (k Key) row(op Op, from State, v int) (edge, error) {
	byFloor := from == Archived && k.Overrides[v].State != Archived
	switch {
	case byFloor && op == Archive:
		return find(op, Deactivated, v)
	case byFloor && op == Retire:
		return edge{}, Refusedf("version %d is archived only by min_decryption_version, which is %d: archive it first", v, k.MinDecryption)
	case op == ReportCompromise && from == Retired && k.Overrides[v].Compromise.reported():
		reported := k.Overrides[v].Compromise.Reported
		return edge{}, Refusedf("version %d is retired and was reported as compromised at %s: a report stands, and gives nothing back", v, timeText(reported))
	default:
		return find(op, from, v)
	}
}

// guard holds what the table cannot say.
func (k Key) guard(row edge, v int, o Order) error {
	override := k.Overrides[v]
	switch row.op {
	case Archive:
		return k.guardArchive(v, o.Rules.MinVersionsKept)
	case Recover:
		return k.guardRecover(v, o)
	case Restore:
		if err := k.guardRestore(override.DestroyAt, o.At); err != nil {
			return err
		}
		return k.guardStaged(v, override)
	case Resume:
		return k.guardStaged(v, override)
	case Retire:
		return k.guardRetire(o, override.At, override.RetireNotBefore, row.from != PreActive)
	case Destroy:
		return k.guardDestroy(override.DestroyAt, o.At)
	}
	return nil
}

// guardArchive keeps enough readable versions. One that was recovered for a time is not among those that are kept. One
// below the floor counts as readable, as it is once the floor is lowered again.
func (k Key) guardArchive(v, kept int) error {
	if !k.Overrides[v].ArchiveAt.IsZero() {
		return nil
	}
	floor := k.MinDecryption
	if v < floor {
		floor = 0
	}
	if readable := k.readableFrom(floor); readable-1 < kept {
		return Refusedf("version %d: min_versions_kept is %d and the key has %d readable versions", v, kept, readable)
	}
	return nil
}

// guardRecover leaves to the floor what it archives. Of the compromised versions it is for those that are locked, and for
// good: the clock has no way to lock one again.
func (k Key) guardRecover(v int, o Order) error {
	override := k.Overrides[v]
	switch {
	case v < k.MinDecryption:
		return Refusedf("version %d is archived by the floor: lower min_decryption_version, which is %d, on keys/%s/config", v, k.MinDecryption, k.Name)
	case override.State != Compromised:
		return nil
	case !override.Locked:
		return Refusedf("version %d is compromised and not locked: recover needs archived or locked; possible now: retire", v)
	case !o.Until.IsZero():
		return Refusedf("time_limit: version %d is compromised, and is recovered for good: leave time_limit out", v)
	}
	return nil
}

// guardRestore holds that what is past its time is gone, whether the clock has come to it or not. What a legal hold keeps
// from being destroyed can be restored for as long.
func (k Key) guardRestore(destroyTime, at time.Time) error {
	if k.Hold || at.Before(destroyTime) {
		return nil
	}
	return Refusedf("destroy_time was %s", timeText(destroyTime))
}

// guardStaged keeps a version that was staged from coming back where another is, or where it could not decrypt.
func (k Key) guardStaged(v int, override StateOverride) error {
	switch {
	case override.Before != PreActive, v == k.Staged:
		return nil
	case k.Staged != 0:
		return Refusedf("version %d was staged, and version %d is now", v, k.Staged)
	case v < k.MinDecryption:
		return Refusedf("version %d was staged and is below min_decryption_version, which is %d", v, k.MinDecryption)
	case v < k.MinEncryption:
		return Refusedf("version %d was staged and is below min_encryption_version, which is %d", v, k.MinEncryption)
	}
	return nil
}

// guardRetire holds a retirement back under a legal hold, and until the quiet period is over: since the state began
// or the last use was denied, and not before a time that was set under an earlier revision of the policy.
func (k Key) guardRetire(o Order, since, notBefore time.Time, needsQuiet bool) error {
	switch {
	case k.Hold:
		return Refusedf("key %q is under legal hold", k.Name)
	case o.Behind != "": // it would be destroyed too soon, when the clock is right again
		return Refusedf("%s: nothing is retired until it has caught up, or is acknowledged on config/clock", o.Behind)
	}
	quiet := laterOf(o.Rules.QuietUntil(since, o.LastDenied), notBefore)
	if needsQuiet && o.At.Before(quiet) {
		return Refusedf("quiet_period is %s: without a denied use it is over at %s", o.Rules.QuietPeriod, quiet.UTC().Format(time.RFC3339))
	}
	return nil
}

func (k Key) guardDestroy(destroyTime, at time.Time) error {
	if k.Hold {
		return Refusedf("key %q is under legal hold", k.Name)
	}
	if destroyTime.IsZero() || at.Before(destroyTime) {
		return Refusedf("destroy_time is %s", destroyTime.UTC().Format(time.RFC3339))
	}
	return nil
}

// readable counts the versions that decrypt now; see [Key.readableFrom].
func (k Key) readable() int { return k.readableFrom(k.MinDecryption) }

// readableFrom counts the versions from a floor on that decrypt by their own state, but for a staged one, with which
// nothing was encrypted, and those recovered only for a time.
func (k Key) readableFrom(floor int) int {
	floor = max(floor, k.MinAvailable, k.DestroyedBelow, 1)
	n := k.Latest - floor + 1
	if k.Staged != 0 && k.versionState(k.Staged) == PreActive {
		n--
	}
	for v, override := range k.Overrides {
		if (override.State != Deactivated || !override.ArchiveAt.IsZero()) && v >= floor {
			n--
		}
	}
	return n
}

// move changes pointers and overrides as the row says. The key's overrides are its own already.
func (k *Key) move(row edge, v int, o Order) {
	override := k.Overrides[v]
	switch row.op {
	case Promote:
		k.Predecessors = k.predecessors()
		k.promote(v, o.At)
		k.Rotation = k.Rotation.succeeded()
		return
	case Lapse:
		k.Primary = 0
		k.setOverride(v, StateOverride{State: Deactivated, At: o.At, Lapsed: true})
		return
	case Resume:
		k.resume(v, o)
		return
	case Restore:
		k.restore(v, override, o.At, o.Rules.QuietPeriod)
		return
	}
	if v == k.Staged && row.op != Suspend {
		k.Staged = 0
	}
	k.setOverride(v, row.overrideAfter(override, o))
}

// overrideAfter returns the override that a row makes of a version's override.
func (row edge) overrideAfter(override StateOverride, o Order) StateOverride {
	next := StateOverride{State: row.to, At: o.At, Lapsed: override.Lapsed, Compromise: override.Compromise}
	switch row.op {
	case Recover:
		if row.from == Compromised {
			next = override
			next.Locked, next.Stored = false, false
			return next
		}
		next.ArchiveAt = o.Until
	case Suspend:
		next.ArchiveAt, next.Before = override.ArchiveAt, row.from
		if override.State == Deactivated {
			next.Ended = override.At
		}
	case Archive:
		next.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
	case Retire:
		next.Before, next.DestroyAt = row.from, o.At.Add(o.Rules.DestroyDelay)
		next.Locked, next.Stored = override.Locked, override.Stored
	case ReportCompromise:
		next.Locked, next.Stored = permissions[row.from][Process] != always, override.inArchive()
		next.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
		next.Compromise = Compromise{Code: o.Code, Occurred: o.Occurred, Reported: o.At}
	}
	return next
}

func (k *Key) setOverride(v int, m StateOverride) {
	if k.Overrides == nil {
		k.Overrides = map[int]StateOverride{}
	}
	k.Overrides[v] = m
}

// promote makes v the primary. The one before is deactivated from now on: as a rule that is the date of its successor,
// which counts from its promotion; otherwise an override says it.
func (k *Key) promote(v int, at time.Time) {
	i := len(k.Recent) - 1 - (k.Latest - v)
	dated := k.Staged == v && i >= 0
	k.supersede(at, dated && k.Primary == v-1)
	if dated {
		k.Recent = slices.Clone(k.Recent)
		k.Recent[i] = at
	}
	delete(k.Overrides, v)
	k.Primary = v
	if k.Staged == v {
		k.Staged = 0
	}
	k.Rotation.Promoted, k.Rotation.ChecksPending = at, true
}

// supersede notes since when the primary is deactivated, unless the date of its successor tells.
func (k *Key) supersede(at time.Time, byDate bool) {
	override, marked := k.Overrides[k.Primary]
	switch {
	case k.Primary == 0, marked && override.State != Suspended, !marked && byDate:
		return
	case marked:
		override.Ended = at
	default:
		override = StateOverride{State: Deactivated, At: at}
	}
	k.Overrides = maps.Clone(k.Overrides)
	k.setOverride(k.Primary, override)
}

func (k *Key) restore(v int, m StateOverride, at time.Time, quiet time.Duration) {
	switch m.Before {
	case PreActive:
		delete(k.Overrides, v)
		k.Staged = v
	case Compromised:
		m.State, m.Before, m.At, m.DestroyAt, m.RetireNotBefore = Compromised, NoState, at, time.Time{}, at.Add(quiet)
		k.setOverride(v, m)
	default:
		k.setOverride(v, StateOverride{State: Archived, At: at, RetireNotBefore: at.Add(quiet), Lapsed: m.Lapsed, Compromise: m.Compromise})
	}
}

// compactDestroyed turns the overrides of versions destroyed from the oldest on into a floor.
func (k *Key) compactDestroyed() {
	for v := max(k.DestroyedBelow, k.MinAvailable, 1); k.versionState(v) == Destroyed; v++ {
		k.DestroyedBelow = v + 1
		if !k.Overrides[v].Compromise.reported() { // which is never cleared
			delete(k.Overrides, v)
		}
	}
}

func laterOf(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
