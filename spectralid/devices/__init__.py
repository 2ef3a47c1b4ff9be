"""Instruments on a serial line: from the port to a `Spectrum`.

Examples
--------
>>> from spectralid.devices import ScanPlan, arm, load_profile, open_device, scan
>>> def measure(port, operator):
...     with open_device(port, load_profile("ocean-ventana-785l")) as instrument:
...         return scan(
...             instrument, ScanPlan(averages=20), token=arm(operator), acknowledge_unknown_interlock=True
...         )
"""

from spectralid.devices.driver import Capabilities, Driver, Identity, Interlock, RawFrame
from spectralid.devices.guard import LaserEndedError, ScanCancelledError
from spectralid.devices.laser import ArmToken, LaserOffUnconfirmedError, LaserRefusedError, arm
from spectralid.devices.plan import Progress, ScanPlan, Stage
from spectralid.devices.profile import Profile, bundled_profiles, load_profile
from spectralid.devices.record import Calibration, RetakeError
from spectralid.devices.registry import open_device, protocols
from spectralid.devices.session import Session, scan
from spectralid.devices.state import State, StateError

__all__ = [
    "ArmToken",
    "Calibration",
    "Capabilities",
    "Driver",
    "Identity",
    "Interlock",
    "LaserEndedError",
    "LaserOffUnconfirmedError",
    "LaserRefusedError",
    "Profile",
    "Progress",
    "RawFrame",
    "RetakeError",
    "ScanCancelledError",
    "ScanPlan",
    "Session",
    "Stage",
    "State",
    "StateError",
    "arm",
    "bundled_profiles",
    "load_profile",
    "open_device",
    "protocols",
    "scan",
]
