"""What a file that was made to do harm might bring its reader to; each is run in the sandbox."""

from __future__ import annotations

import os
import signal

import numpy as np


def good(data, *, times):
    values = np.frombuffer(data.read(), "u1").astype(float)
    return {"times": times}, [values * times, np.empty((0, 3)), np.array([[True], [False]])]


def dies(data, *, how):
    os.kill(os.getpid(), getattr(signal, how))


def spins(data):
    while True:
        pass


def waits(data):
    signal.pause()


def ignores_its_end(data):
    for name in ("SIGTERM", "SIGXCPU", "SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    spins(data)


def hoards(data):
    held = [np.ones(16 * 2**20, "u1") for _ in range(200)]
    return {"held": len(held)}, []


def writes(data, *, path):
    with open(path, "wb") as file:
        file.write(b"x")
    return {}, []


def talks_too_much(data):
    return {}, [np.ones(4 * 2**20)]


def _everywhere(raw):
    for handle in range(3, 64):
        try:
            os.write(handle, raw)
        except OSError:
            continue


def says_something_else(data, *, raw):
    _everywhere(bytes.fromhex(raw))
    os._exit(0)


def stops_its_keeper(data):
    os.kill(os.getppid(), signal.SIGKILL)
    return {}, []


def raises(data):
    raise RuntimeError("from a package")


def hands_over_an_object(data):
    return {}, [np.array([object()])]
