# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""A client that was made and warmed before a fork, as with gunicorn --preload. Each test is a process of its own."""

import subprocess
import sys
from pathlib import Path

BEGIN = """
import os, signal, threading, time
signal.alarm(240)  # a deadlock ends the process
from keylife import Client, inspect
from keylife._frame import parse
from keylife._world import World
from keylife.testing import FakeVault

class RealTime(World):
    def http(self):
        return vault._world.http()

class Vault(FakeVault):
    hold, held = None, threading.Event()
    def _answer(self, method, path, token, body):
        if self.hold and self.hold in path:
            self.held.set()
            threading.Event().wait()
        return super()._answer(method, path, token, body)

vault = Vault("orders")
vault.client()
client = Client("http://vault.invalid", token=vault.new_token(), _world=RealTime())
orders = client.key("orders")
edk = lambda message: parse(message).header.edk

def in_child(do):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            vault._lock, vault.hold = threading.Lock(), None
            signal.alarm(120)
            do()
            code = 0
        finally:
            os._exit(code)
    return pid

def ended(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""


def run(script, end="client.close()"):
    result = subprocess.run(
        [sys.executable, "-B", "-c", "\n".join((BEGIN, script, end))],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_the_child_has_a_data_key_of_its_own_and_keeps_what_opens():
    run("""
message = orders.encrypt(b"a")
def child():
    vault.requests.clear()
    assert orders.decrypt(message) == b"a"
    assert not vault.requests
    mine = orders.encrypt(b"b")
    assert edk(mine) != edk(message)
    assert dict(vault.requests) == {"datakey": 1}, vault.requests
    thread = client._core._around.background._thread
    assert thread.is_alive() and thread in threading.enumerate()
    orders.refresh()
    client.close()
    assert not thread.is_alive()
ended(in_child(child))
assert edk(orders.encrypt(b"c")) == edk(message)
assert client._core._around.background._thread.is_alive()
""")


def test_a_child_has_no_thread_before_its_first_use():
    run("""
orders.encrypt(b"a")
def child():
    assert client._core._around.background._thread is None
    assert threading.active_count() == 1
ended(in_child(child))
""")


def test_a_fork_amid_a_request_holds_up_no_child():
    run(
        """
message = orders.encrypt(b"a")
for path, use in (("/datakey/", orders.refresh), ("/decrypt/", lambda: orders._ring._open([edk(message)], time.monotonic() + 100))):
    vault.hold, vault.held = path, threading.Event()
    threading.Thread(target=use, daemon=True).start()
    vault.held.wait()
    def child():
        orders.encrypt(b"a")
        orders._ring._open([edk(message)], time.monotonic() + 100)
    ended(in_child(child))
""",
        end="os._exit(0)",
    )


def test_forks_amid_uses_hold_up_no_child():
    run("""
message, stop = orders.encrypt(b"a"), threading.Event()
def uses():
    while not stop.is_set():
        orders.decrypt(orders.encrypt(b"a"))
        orders.refresh()
        client.key("orders").version()
threads = [threading.Thread(target=uses) for _ in range(4)]
for thread in threads: thread.start()
def child():
    assert orders.decrypt(message) == b"a"
    assert orders.decrypt(orders.encrypt(b"b")) == b"b"
    orders.refresh()
for _ in range(30):
    ended(in_child(child))
stop.set()
for thread in threads: thread.join()
""")


def test_the_end_of_the_process_does_not_wait_for_a_client():
    run('orders.encrypt(b"a")', end="")
