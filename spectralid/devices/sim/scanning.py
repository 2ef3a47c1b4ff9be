"""One simulated scan as a function, in this process and without waiting: to try things out with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from spectralid.devices.laser import arm
from spectralid.devices.plan import ScanPlan
from spectralid.devices.profile import load_profile
from spectralid.devices.registry import open_device
from spectralid.devices.session import scan
from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, instrument_class
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.samples import bundled_samples
from spectralid.devices.sim.scenes import compose
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.errors import ParameterError
from spectralid.spectrum import Spectrum

__all__ = ["simulate"]

_PROFILE: Final = "ocean-ventana-785l"


def simulate(
    sample: str | Mapping[str, float],
    *,
    seed: int = 0,
    averages: int = 10,
    integration_ms: float | None = None,
    container: str = "",
    fluorescence: float = 1.0,
    serial: str = "SIM-1",
    axis_error_nm: float = 0.0,
    name: str = "",
) -> Spectrum:
    """Measure a sample with a simulated handheld of 785 nm, through its real driver.

    Parameters
    ----------
    sample : str or mapping of str to float
        A substance of `simulated_substances`, or several with the relative heights of their strongest bands:
        no shares of the light, nor by weight.
    seed : int
        Seed of all noise, 0 or more; the same seed gives the same scan.
    averages : int
        Frames averaged, at least 1.
    integration_ms : float, optional
        Integration time of a frame; found by itself if not given.
    container : str
        What it is measured through: ``"pe"``, ``"pp"``, ``"pet"``, ``"ps"``, ``"glass"``, or empty.
    fluorescence : float
        Brightest pixel of the fluorescence relative to the strongest band of a pure substance, ≥ 0.
    serial : str
        Serial number of the unit.
    axis_error_nm : float
        How far the laser's true wavelength lies above the stated one: 0.06 nm are about 1 cm⁻¹.
    name : str
        Name of the spectrum; what the sample is, if not given.

    Returns
    -------
    Spectrum
        Flagged ``"simulated"``: it is no evidence of anything.

    Raises
    ------
    ParameterError
        If a substance or container is not known, or a number is out of range.
    """
    if seed < 0:
        raise ParameterError("seed", seed, "0 or more")
    shares = {sample: 1.0} if isinstance(sample, str) else dict(sample)
    if not shares:
        raise ParameterError("sample", shares, "one substance at least")
    profile = load_profile(_PROFILE)
    scene = compose(
        tuple((substance.lower(), share) for substance, share in shares.items()),
        bundled_samples(),
        container=container,
        fluorescence=fluorescence,
    )
    bench = replace(BENCHES[DEFAULT_MODELS[profile.protocol]], laser_error_nm=axis_error_nm)
    instrument = instrument_class(profile.protocol)(Detector(bench, scene, seed=seed), serial)
    plan = ScanPlan(
        integration_ms=integration_ms,
        averages=averages,
        warning_s=0.0,
        name=name or "simulated " + " + ".join(shares),
        operator="nobody",
    )
    spectrum = scan(
        open_device(VirtualLine(instrument, baud=profile.baud, far_baud=profile.baud), profile),
        plan,
        token=arm("nobody"),
        acknowledge_unknown_interlock=True,
        # Time only counts on a line that is none.
        wait=lambda _: None,
    )
    return spectrum.replace(acquisition=spectrum.acquisition.with_flags("simulated"))
