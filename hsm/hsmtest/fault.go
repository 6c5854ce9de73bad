// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Faults make the library of a fixture fail as HSMs do, in this process and in others.
type Faults struct {
	t         testing.TB
	control   *os.File
	functions []string // of PKCS#11, in the order of the rules in the control file
}

// Rule says how a function fails. Without Return, Hang, Crash and Lose it is slow only, by Delay.
type Rule struct {
	Skip   int            // calls that go well before
	Calls  int            // calls that fail after these (0: all)
	Return cryptoki.Error // returned without a call; with Hang, once the hang is over; with Lose, after the call was done
	Hang   bool           // until Clear
	Crash  bool           // the process dies
	Lose   bool           // the call is done, and its answer lost
	Delay  time.Duration  // that every call takes longer
}

// IVMode is what a token does about the IV of an AES-GCM encryption.
type IVMode uint64

// The tokens that were seen.
const (
	IVOfCaller    IVMode = iota // takes it, as SoftHSM does
	IVOverwritten               // writes its own over it, as AWS CloudHSM does
	IVAppended                  // appends one of 16 bytes to its output, as Thales Luna does
)

// Faulty puts a library of ours before that of the fixture.
func Faulty(t testing.TB, fixture Fixture) (Fixture, *Faults) {
	t.Helper()
	object, functions := faultLibrary(t)
	path := filepath.Join(t.TempDir(), "faultp11.so")
	require.NoError(t, os.WriteFile(path, object, 0o700)) //nolint:gosec // a library
	require.NoError(t, os.WriteFile(path+".module", []byte(fixture.Library), 0o600))
	control, err := os.OpenFile(path+".control", os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in a folder of the test's
	require.NoError(t, err)
	faults := &Faults{t, control, functions}
	require.NoError(t, control.Truncate(int64(8*faults.word(len(functions), 0))))
	fixture.Library = path
	t.Cleanup(func() {
		for _, function := range functions {
			faults.Clear(function) // what hangs goes on
		}
		require.NoError(t, control.Close())
	})
	return fixture, faults
}

// Words of the control file, each of 8 bytes: see struct control and struct rule in faultp11.c.
const (
	wordRestarts    = 0
	wordMaxSessions = 2
	wordIVMode      = 3
	wordSessions    = 4
	wordBoast       = 5
	firstRule       = 8
	wordsPerRule    = 8

	ruleCalls     = 0
	ruleMode      = 1
	ruleSkip      = 2
	ruleRemaining = 3
	ruleReturn    = 4
	ruleDelay     = 5
	ruleHits      = 6
	ruleHanging   = 7

	modeNone  = 0
	modeFail  = 1
	modeHang  = 2
	modeCrash = 3
	modeLose  = 4
)

// Set makes a function, such as C_Decrypt, follow a rule from its next call on.
func (f *Faults) Set(function string, rule Rule) {
	f.t.Helper()
	f.Clear(function)
	mode, remaining := uint64(modeNone), ^uint64(0)
	switch {
	case rule.Crash:
		mode = modeCrash
	case rule.Hang:
		mode = modeHang
	case rule.Lose:
		mode = modeLose
	case rule.Return != 0:
		mode = modeFail
	}
	if rule.Calls > 0 {
		remaining = uint64(rule.Calls)
	}
	f.write(f.rule(function, ruleSkip), uint64(rule.Skip)) //nolint:gosec // a count
	f.write(f.rule(function, ruleRemaining), remaining)
	f.write(f.rule(function, ruleReturn), uint64(rule.Return))
	f.write(f.rule(function, ruleDelay), uint64(rule.Delay.Microseconds())) //nolint:gosec // a count
	f.write(f.rule(function, ruleMode), mode)
}

// Clear makes a function work again. Calls that hang go on.
func (f *Faults) Clear(function string) {
	f.t.Helper()
	f.write(f.rule(function, ruleMode), modeNone)
	f.write(f.rule(function, ruleDelay), 0)
}

// Calls counts the calls of a function so far.
func (f *Faults) Calls(function string) int { return f.read(f.rule(function, ruleCalls)) }

// Hits counts the calls of a function that a rule applied to.
func (f *Faults) Hits(function string) int { return f.read(f.rule(function, ruleHits)) }

// Hanging counts the calls of a function that hang now.
func (f *Faults) Hanging(function string) int { return f.read(f.rule(function, ruleHanging)) }

// Sessions counts the sessions that are open now.
func (f *Faults) Sessions() int { return f.read(wordSessions) }

// Restart makes the HSM restart before the next call: sessions and logins are gone.
func (f *Faults) Restart() { f.write(wordRestarts, uint64(f.read(wordRestarts)+1)) } //nolint:gosec // a count

// MaxSessions makes C_OpenSession refuse more than n sessions (0: no limit).
func (f *Faults) MaxSessions(n int) { f.write(wordMaxSessions, uint64(n)) } //nolint:gosec // a count

// IVs says who chooses the IV of AES-GCM.
func (f *Faults) IVs(mode IVMode) { f.write(wordIVMode, uint64(mode)) }

// Boast makes C_Sign say that it wrote n bytes more than it did.
func (f *Faults) Boast(n int) { f.write(wordBoast, uint64(n)) } //nolint:gosec // a count

func (f *Faults) rule(function string, word int) int {
	f.t.Helper()
	at := slices.Index(f.functions, function)
	require.GreaterOrEqual(f.t, at, 0, "faultp11 has no function %s", function)
	return f.word(at, word)
}

func (*Faults) word(rule, word int) int { return firstRule + rule*wordsPerRule + word }

func (f *Faults) write(word int, value uint64) {
	f.t.Helper()
	_, err := f.control.WriteAt(binary.NativeEndian.AppendUint64(nil, value), int64(8*word))
	require.NoError(f.t, err)
}

func (f *Faults) read(word int) int {
	f.t.Helper()
	var value [8]byte
	_, err := f.control.ReadAt(value[:], int64(8*word))
	require.NoError(f.t, err)
	return int(binary.NativeEndian.Uint64(value[:])) //nolint:gosec // a count
}

// compiled is faultp11.so, which is compiled once a process. Each fixture has a copy: a library is loaded by its file.
var compiled struct {
	sync.Mutex
	object []byte
}

// faultLibrary returns faultp11.so, and the functions that it has rules for.
func faultLibrary(t testing.TB) (object []byte, functions []string) {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(self), "faultp11", "faultp11.c")
	headers := filepath.Join(filepath.Dir(self), "..", "p11")
	header, err := os.ReadFile(filepath.Join(headers, "pkcs11.h")) //nolint:gosec // of this module
	require.NoError(t, err, "the sources of this module are needed to test with")
	for _, match := range regexp.MustCompile(`(?m)^\tF\((\w+),`).FindAllStringSubmatch(string(header), -1) {
		functions = append(functions, "C_"+match[1])
	}
	compiled.Lock()
	defer compiled.Unlock()
	if compiled.object != nil {
		return compiled.object, functions
	}
	out := filepath.Join(t.TempDir(), "faultp11.so")
	cmd := exec.CommandContext(t.Context(), "cc", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden", //nolint:gosec // paths of this module
		"-I", headers, "-o", out, source, "-ldl", "-lpthread")
	log, err := cmd.CombinedOutput()
	require.NoError(t, err, "a C compiler is needed: apt-get install gcc libc6-dev, which scripts/deps.sh does\n%s", log)
	compiled.object, err = os.ReadFile(out) //nolint:gosec // written above
	require.NoError(t, err)
	return compiled.object, functions
}
