"""The public surface, the import budget, and the shape of the error family."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import spectralid
from spectralid import errors

# What `import spectralid` may load besides the standard library and itself: nothing.
IMPORT_ALLOWED: set[str] = set()
# What reading a text or JCAMP-DX file may load: a tablet pays for nothing else.
# numpy 1.26 brings Cython's runtime, which later versions load only with numpy.random.
READ_ALLOWED = {"numpy", "cython_runtime"}
HEAVY = {"scipy", "sklearn", "matplotlib", "h5py", "pybaselines", "serial", "brukeropus", "renishawWiRE"}


def _modules_loaded_by(statements: str) -> set[str]:
    program = (
        f"import sys, json\nbefore = set(sys.modules)\n{statements}\n"
        "names = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(n for n in names if n not in sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name for name in json.loads(done.stdout) if not name.startswith("_")} - {"spectralid"}


def test_importing_the_package_loads_nothing_else() -> None:
    assert _modules_loaded_by("import spectralid") == IMPORT_ALLOWED


def test_reading_text_loads_no_heavy_package() -> None:
    program = (
        "import io, spectralid\n"
        "rows = b''.join(b'%d %d\\n' % (x, (x - 130) ** 2) for x in range(100, 160))\n"
        "spectralid.read(io.BytesIO(rows), technique='raman')"
    )
    loaded = _modules_loaded_by(program)
    assert loaded & HEAVY == set()
    assert loaded <= READ_ALLOWED


def test_public_names_all_load_and_are_listed() -> None:
    assert set(spectralid.__all__) == {"__version__", *spectralid._WHERE}
    assert spectralid.__all__ == sorted(spectralid.__all__)
    for name in spectralid.__all__:
        assert getattr(spectralid, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        spectralid.nonsense  # noqa: B018


def test_every_public_name_is_documented() -> None:
    for name in spectralid.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(spectralid, name)), name


def test_the_drawn_error_tree_is_the_real_one() -> None:
    drawn = []
    for line in (errors.__doc__ or "").splitlines():
        for word in line.replace("├", " ").replace("└", " ").replace("─", " ").replace("│", " ").split():
            if word.endswith("Error"):
                drawn.append((word, line.index(word)))
                break
    depth = {name: (column - drawn[0][1]) // 4 for name, column in drawn}
    classes = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, Exception)}
    assert set(depth) == set(classes)
    for name, cls in classes.items():
        family = [k for k in cls.__mro__ if k in classes.values()]
        assert len(family) - 1 == depth[name], name


def test_file_errors_say_which_file_and_where() -> None:
    error = errors.UnreadableFileError("the line has no number.", file="a.txt", where="line 3")
    assert str(error) == "a.txt, line 3: the line has no number."
    assert (error.file, error.where) == ("a.txt", "line 3")


def test_parameter_errors_have_one_form() -> None:
    assert str(errors.ParameterError("top", 0, "1 or more")) == "top must be 1 or more; got 0."


def test_a_missing_package_names_its_extra() -> None:
    error = errors.MissingDependencyError("brukeropus", extra="formats", purpose="to read OPUS files")
    assert "pip install 'spectralid[formats]'" in str(error)
