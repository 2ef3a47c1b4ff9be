"""The server as ``spectralid reachback serve`` runs it, in processes that are forked to be killed.

Every line on standard input is JSON: folder, port, and at the so-manieth thing that it asks of its database,
once ready, it kills itself (null: it is killed when the next line comes). It says ``ready``, and ``dead``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
from dataclasses import replace
from typing import Any

from spectralid.reachback.api import serve
from spectralid.reachback.api.app import GROUPS
from spectralid.reachback.settings import Desk, Devices
from tests.faults import guards
from tests.reachback.faults.worker import dies_at
from tests.reachback.http import QUICK

__all__ = ["main"]


def _serve(order: dict[str, Any], ready: int) -> None:
    settings = replace(QUICK, desk=Desk(port=0), devices=Devices(port=order["port"]))
    desk = serve.open_desk(order["folder"], settings)

    def begin(_: serve.Addresses) -> None:
        if order["dies_at"]:
            dies_at(desk.db, order["dies_at"])
        os.close(ready)

    serve.serve(desk, ready=begin)


def main() -> None:
    guards.remove_named(os.environ)
    for name in GROUPS:
        # All of the server is there before the fork.
        importlib.import_module(f"spectralid.reachback.api.{name}")
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        begun, ready = os.pipe()
        ended, end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(begun)
            os.close(ended)
            try:
                _serve(order, ready)
            finally:
                os._exit(1)
        os.close(ready)
        os.close(end)
        os.read(begun, 1)
        print("ready", flush=True)
        select.select([ended] if order["dies_at"] else [ended, sys.stdin], [], [])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(begun)
        os.close(ended)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
