// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// world is what all tests share: a Vault, the command and a browser.
var world struct {
	vault   *harness.Server
	command string // path of the binary
	browser context.Context
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keylife-ui")
	if err == nil {
		err = begin(dir)
	}
	status := 1
	if err == nil {
		status = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if world.browser != nil {
		_ = chromedp.Cancel(world.browser) // it ends with this process at the latest
	}
	if world.vault != nil {
		world.vault.Close()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func begin(dir string) (err error) {
	world.command = filepath.Join(dir, "keylife")
	build := exec.Command("go", "build", "-o", world.command, "./cmd/keylife")
	build.Dir = "../../client"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the command: %w\n%s", err, out)
	}
	if world.vault, err = harness.Launch(dir, harness.Options{Clock: true, LogLevel: "warn"}); err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.ExecPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium")))
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	world.browser, _ = chromedp.NewContext(allocator) // Cancel ends it
	return chromedp.Do(world.browser)
}
