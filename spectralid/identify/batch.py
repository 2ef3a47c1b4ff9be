"""Many spectra at once: parallel processes, one BLAS thread each, the same results as in one process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from threadpoolctl import threadpool_limits

from spectralid.errors import LibraryError, ParameterError, SpectralIDError
from spectralid.identify.engine import Identifier
from spectralid.identify.result import Identification
from spectralid.library import ReferenceLibrary
from spectralid.library.store import reopen
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    from spectralid.identify.confidence_record import ConfidenceRecord
    from spectralid.identify.family_model import FamilyModel
    from spectralid.identify.instrument_model import InstrumentModel

__all__ = ["BatchError", "identify_each", "identify_many"]

# Spectra on their way per process: enough to keep it busy, few enough to bound the memory.
_AHEAD: Final = 3
_THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class BatchError(SpectralIDError):
    """A defect met on one spectrum of a batch; the others are not touched by it."""


def identify_many(
    spectra: Iterable[Spectrum],
    library: ReferenceLibrary | Identifier,
    *,
    processes: int | None = None,
    context: Mapping[str, str] | None = None,
    top: int = 10,
    leads: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Identification | SpectralIDError]:
    """Identify many spectra, in parallel.

    Parameters
    ----------
    spectra : iterable of Spectrum
        As for `identify`.
    library : ReferenceLibrary or Identifier
        The library, which each process opens again from its file; or what identifies with one.
    processes : int, optional
        How many, at least 1; as many as there are processors by default. With 1 no process is started.
    context, top, leads
        As for `identify`, for all of them.
    progress : callable, optional
        Called in this process with the number of spectra that are done.

    Returns
    -------
    list of Identification or SpectralIDError
        One for each spectrum, in order: its result, or what was wrong with it. The same, bit for bit, however
        many processes there are.

    Raises
    ------
    ParameterError
        If `processes` or `top` is too small.
    LibraryError
        If the library is damaged.

    Notes
    -----
    A script that calls this needs ``if __name__ == "__main__":`` around what it does, because the processes
    import it.
    """
    found: list[Identification | SpectralIDError] = []
    for result in identify_each(spectra, library, processes=processes, context=context, top=top, leads=leads):
        found.append(result)
        if progress:
            progress(len(found))
    return found


def identify_each(
    spectra: Iterable[Spectrum],
    library: ReferenceLibrary | Identifier,
    *,
    processes: int | None = None,
    context: Mapping[str, str] | None = None,
    top: int = 10,
    leads: bool = False,
) -> Iterator[Identification | SpectralIDError]:
    """As `identify_many`, one result after the other: spectra are taken as needed and not kept.

    Parameters
    ----------
    spectra : iterable of Spectrum
        Taken one by one.
    library, processes, context, top, leads
        As for `identify_many`.

    Returns
    -------
    iterator of Identification or SpectralIDError
        In the order of the spectra; the error where one could not be compared.
    """
    wanted = processes if processes is not None else os.cpu_count() or 1
    if wanted < 1:
        raise ParameterError("processes", wanted, "at least 1")
    options = {"context": dict(context or {}), "top": top, "leads": leads}
    identifier = library if isinstance(library, Identifier) else Identifier(library)
    if wanted == 1:
        return map(partial(_one, identifier, options), spectra)
    return _parallel(spectra, identifier, wanted, options)


def _one(
    identifier: Identifier, options: Mapping[str, Any], spectrum: Spectrum
) -> Identification | SpectralIDError:
    try:
        return identifier.identify(spectrum, **options)
    except (ParameterError, LibraryError):
        raise  # Wrong for every spectrum.
    except SpectralIDError as error:
        return error
    except Exception as error:
        failure = BatchError(
            f"internal error ({type(error).__name__}: {error}); this spectrum was not identified."
        )
        failure.__cause__ = error
        return failure


def _parallel(
    spectra: Iterable[Spectrum], identifier: Identifier, processes: int, options: Mapping[str, Any]
) -> Iterator[Identification | SpectralIDError]:
    work = partial(_work, options)
    source = iter(spectra)
    pending: deque[tuple[Spectrum, Future[Identification | SpectralIDError]]] = deque()
    pool = _pool(processes, identifier)
    try:
        while True:
            while len(pending) < _AHEAD * processes and (spectrum := next(source, None)) is not None:
                pending.append((spectrum, _submitted(pool, work, spectrum)))
            if not pending:
                return
            try:
                result = pending[0][1].result()
            except BrokenProcessPool:
                pool.shutdown()
                # Whose fault it was cannot be told: what was on its way is done again, each by itself.
                yield from (_alone(work, spectrum, identifier) for spectrum, _ in pending)
                pending.clear()
                pool = _pool(processes, identifier)
            else:
                pending.popleft()
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor,
    work: Callable[[Spectrum], Identification | SpectralIDError],
    spectrum: Spectrum,
) -> Future[Identification | SpectralIDError]:
    """A task of the pool; where the pool is broken already, one that failed for it."""
    try:
        return pool.submit(work, spectrum)
    except BrokenProcessPool as error:
        failed: Future[Identification | SpectralIDError] = Future()
        failed.set_exception(error)
        return failed


def _alone(
    work: Callable[[Spectrum], Identification | SpectralIDError], spectrum: Spectrum, identifier: Identifier
) -> Identification | SpectralIDError:
    with _pool(1, identifier) as pool:
        try:
            return pool.submit(work, spectrum).result()
        except BrokenProcessPool:
            return BatchError("the process that identified this spectrum died, perhaps for want of memory.")


def _pool(processes: int, identifier: Identifier) -> ProcessPoolExecutor:
    given = (identifier.record, identifier.families, identifier.instruments)
    # Started afresh, not forked: a fork of a process with threads and an open library may hang.
    return ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(identifier.library.path, identifier.library.sha256, *given),
    )


# What identifies in a process of a pool, made once in each; or why it cannot be made.
_held: list[Identifier | SpectralIDError] = []


def _begin(
    path: Path,
    sha256: str,
    record: ConfidenceRecord | None,
    families: tuple[FamilyModel, ...],
    instruments: tuple[InstrumentModel, ...],
) -> None:
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = "1"  # For what is loaded from now on; and for what is loaded already:
    threadpool_limits(limits=1)
    try:
        library = reopen(path, sha256)
        _held.append(Identifier(library, record=record, families=families, instruments=instruments))
    except SpectralIDError as error:
        # A process that does not begin would break the pool and lose the reason.
        _held.append(error)


def _work(options: Mapping[str, Any], spectrum: Spectrum) -> Identification | SpectralIDError:
    (identifier,) = _held
    if isinstance(identifier, SpectralIDError):
        raise identifier
    return _one(identifier, options, spectrum)
