"""A server that really listens, in a thread of this process: two addresses, TLS and all."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace

from spectralid.reachback.api import serve
from spectralid.reachback.settings import Desk, Devices
from tests.reachback.http import QUICK

PORTS = {"desk": Desk(port=0), "devices": Devices(port=0)}


@contextmanager
def running(folder, settings=QUICK, **more):
    """A server in a folder; gives its `Desk` (of spectralid.reachback.api.desk) and its addresses."""
    desk = serve.open_desk(folder, replace(settings, **{**PORTS, **more}))
    told, stopped = threading.Event(), []
    found = {}

    async def story():
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()

        def ready(addresses):
            found["addresses"] = addresses
            told.set()

        await serve.run(desk, ready=ready, stop=found["stop"])

    def whole():
        try:
            asyncio.run(story())
        except BaseException as error:
            stopped.append(error)
        finally:
            told.set()

    thread = threading.Thread(target=whole)
    thread.start()
    try:
        assert told.wait(60)
        if stopped:
            raise stopped[0]
        yield desk, found["addresses"]
    finally:
        if "stop" in found and thread.is_alive():
            found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(60)
        desk.db.close()
        assert not thread.is_alive()
