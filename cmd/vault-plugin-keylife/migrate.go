// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
)

const migrateUsage = `usage: vault-plugin-keylife migrate -from MOUNT -to MOUNT (-all | -key NAME...) -report FILE [flags]

Moves keys between Transit and keylife, either way, one after the other: backs a key up, restores it at the other mount, and proves that
both have the same. The source keeps its keys. What is at the target already is proven and not copied, so a run that was cut short is run
again. Address, token, namespace and TLS are those of the Vault CLI: VAULT_ADDR, VAULT_TOKEN or ~/.vault-token, VAULT_NAMESPACE, VAULT_CACERT
and so on. Exits 0 if all keys are at the target, 1 if some are not, 2 if the run was cut short or could not begin.

`

// migration is everything migrate was told.
type migration struct {
	from, to, report string
	all              bool
	migrate.Options
}

var keyName = regexp.MustCompile(`^\w(?:[\w.-]*\w)?$`)

// migrateKeys is the sub-command.
func migrateKeys(args []string, out, errs io.Writer) int {
	m, err := parseMigrate(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		return exitUnusable // the flag package has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sum, err := m.run(ctx, errs)
	if err != nil {
		_, _ = fmt.Fprintf(errs, "migrate: %v\n", err)
	}
	if sum.Keys > 0 || err == nil {
		printSummary(out, sum)
	}
	switch {
	case err != nil:
		return exitUnusable
	case !sum.Complete():
		return exitProblems
	}
	return exitClean
}

func parseMigrate(args []string, errs io.Writer) (*migration, error) {
	m := &migration{}
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		_, _ = io.WriteString(errs, migrateUsage)
		flags.PrintDefaults()
	}
	mount := func(path *string) func(string) error {
		return given(func(text string) { *path = strings.Trim(text, "/") })
	}
	flags.Func("from", "`path` of the mount that has the keys", mount(&m.from))
	flags.Func("to", "`path` of the mount that gets them", mount(&m.to))
	flags.BoolVar(&m.all, "all", false, "move all keys of the mount")
	flags.Func("key", "`name` of a key to move; may be given more than once", given(func(name string) { m.Keys = append(m.Keys, name) }))
	flags.Func("report", "`file` that gets a line of JSON for each key, behind what is in it", given(func(path string) { m.report = path }))
	flags.Func("policy", "`name` of the policy of keylife that the keys come under", given(func(name string) { m.Policy = name }))
	flags.Func("reason", "`text` for the custody records of keylife", given(func(text string) { m.Reason = text }))
	flags.BoolVar(&m.AllowBackup, "allow-backup", false, "set exportable and allow_plaintext_backup at the source where they are missing: neither can be unset")
	flags.BoolVar(&m.DryRun, "dry-run", false, "read the keys and say what would be done")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if problem := m.problem(flags.NArg()); problem != "" {
		_, _ = fmt.Fprintf(errs, "migrate: %s\n", problem)
		flags.Usage()
		return nil, errors.New(problem)
	}
	slices.Sort(m.Keys)
	m.Keys = slices.Compact(m.Keys)
	return m, nil
}

// problem says what is wrong with the flags.
func (m *migration) problem(more int) string {
	odd := slices.IndexFunc(m.Keys, func(name string) bool { return !keyName.MatchString(name) })
	switch {
	case more > 0:
		return "there is something behind the flags"
	case m.from == "" || m.to == "":
		return "-from and -to are needed"
	case m.from == m.to:
		return "-from and -to are the same mount"
	case m.all == (len(m.Keys) > 0):
		return "either -all or -key is needed"
	case odd >= 0:
		return fmt.Sprintf("-key %q: no key has such a name", m.Keys[odd])
	case m.report == "" && !m.DryRun:
		return "-report is needed"
	}
	return ""
}

// began is the first line of a run in the report.
type began struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Policy  string    `json:"policy,omitempty"`
	DryRun  bool      `json:"dry_run,omitempty"`
}

func (m *migration) run(ctx context.Context, progress io.Writer) (sum migrate.Summary, err error) {
	client, err := vaultClient()
	if err != nil {
		return sum, err
	}
	m.Rand, m.Now, m.Report = rand.Reader, time.Now, func(any) error { return nil }
	m.Tell = func(done, all int, e *migrate.Entry) {
		line := fmt.Sprintf("[%d/%d] %s: %s", done, all, e.Key, e.Outcome)
		if e.Reason != "" {
			line += ": " + e.Reason
		}
		_, _ = fmt.Fprintln(progress, line)
	}
	if m.report != "" {
		file, err := migrate.OpenFile(m.report)
		if err != nil {
			return sum, fmt.Errorf("report: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := file.Line(began{time.Now().UTC(), version, m.from, m.to, m.Policy, m.DryRun}); err != nil {
			return sum, fmt.Errorf("report: %w", err)
		}
		m.Report = file.Line
	}
	return migrate.Run(ctx, mount{client, m.from}, mount{client, m.to}, m.Options)
}

func printSummary(out io.Writer, sum migrate.Summary) {
	var parts []string
	told := 0
	for _, outcome := range migrate.Outcomes {
		if n := sum.Outcomes[outcome]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", outcome, n))
			told += n
		}
	}
	if told < sum.Keys {
		parts = append(parts, fmt.Sprintf("not begun: %d", sum.Keys-told))
	}
	_, _ = fmt.Fprintln(out, strings.Join(append([]string{fmt.Sprintf("keys: %d", sum.Keys)}, parts...), ", "))
}
