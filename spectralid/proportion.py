"""A share that was counted, and how far from it the true one may be."""

from __future__ import annotations

from spectralid.errors import ParameterError

__all__ = ["clopper_pearson"]


def clopper_pearson(hits: int, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion: it covers the true one at least as often as it says.

    Parameters
    ----------
    hits : int
        How often it was so, 0 … `of`.
    of : int
        Of how many independent cases, 1 or more.
    confidence : float
        Above 0 and below 1; what is left over is divided between the two ends.

    Returns
    -------
    tuple of float
        Lower and upper end, 0 … 1.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Notes
    -----
    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404, through quantiles of the beta distribution. For
    a bound on one side with the confidence 1 - a, ask for the interval with 1 - 2a.

    Examples
    --------
    >>> low, high = clopper_pearson(59, 59, confidence=0.90)
    >>> round(low, 3), high
    (0.95, 1.0)
    """
    # Takes long to load, and most programs count nothing.
    from scipy.special import betaincinv

    if of < 1:
        raise ParameterError("of", of, "1 or more")
    if not 0 <= hits <= of:
        raise ParameterError("hits", hits, f"0 to {of}")
    if not 0 < confidence < 1:
        raise ParameterError("confidence", confidence, "above 0 and below 1")
    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return low, high
