// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopTimeout is how long a server may take to end after SIGTERM.
const stopTimeout = slack * 20 * time.Second

// process is one run of a server. It leads a process group of its own; the plugin processes are in it.
type process struct {
	pid  int
	done chan struct{} // closed when the server has ended and been waited for
}

// startProcess runs a program that writes what it says to the end of a file.
func startProcess(logFile, binary string, arguments ...string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, arguments...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go p.own(cmd, log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// own keeps the thread that started the server for as long as it runs: the death signal is bound to that thread.
func (p *process) own(cmd *exec.Cmd, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer log.Close()
	err := cmd.Start()
	if err == nil {
		p.pid = cmd.Process.Pid
	}
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ended does not matter: it is told to, or killed
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the server to end and waits for it.
func (p *process) stop() error {
	if !p.running() {
		return nil
	}
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	limit := time.NewTimer(stopTimeout)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
		return fmt.Errorf("vault (pid %d) did not end within %s of SIGTERM", p.pid, stopTimeout)
	}
}

// kill ends the server and its plugins at once, as a power cut would.
func (p *process) kill() {
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // ESRCH: the whole group is gone already
	<-p.done
}
