"""A program that scans and is made to leave: run by `test_laser_processes`, not a test itself.

python -m tests.devices.leaving PORT HOW
"""

import signal
import sys
import threading
from dataclasses import replace

from spectralid.devices import ScanPlan, Session, Stage, arm, load_profile


def main(port, how):
    # Whoever starts the tests in the background may have them ignore these, and hand that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # The simulator takes any rate; at this one the time goes into frames, not into the wire.
    session = Session.on(port, replace(load_profile("ocean-ventana-785l"), baud=921_600))
    # Long frames: whatever happens, happens while the program waits for one.
    plan = ScanPlan(integration_ms=300.0, averages=100, warning_s=0)

    def progress(step):
        if step.stage is not Stage.SAMPLE or step.done != 1:
            return
        print("lit", flush=True)
        if how == "raise":
            raise ZeroDivisionError
        if how == "exit":
            sys.exit(7)
        if how == "main ends":
            lit.set()

    def measure():
        session.scan(plan, token=arm("Kim"), acknowledge_unknown_interlock=True, progress=progress)

    lit = threading.Event()
    session.open()
    if how == "main ends":
        # A daemon thread scans; the main thread falls off the end of the program under it.
        threading.Thread(target=measure, daemon=True).start()
        lit.wait()
        return
    measure()


if __name__ == "__main__":
    main(*sys.argv[1:])
