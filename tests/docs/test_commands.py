"""Commands shown in the docs are taken by the parsers of the command line itself."""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from public_names import texts_below_assignments

from spectralid.cli import _exit, _main
from tests.docs.pages import REPOSITORY, blocks, inline, markdown_pages, shown

SHELLS = {"console", "sh", "bash", "shell"}
SEPARATORS = {"|", "||", "&&", ";", "&"}


@cache
def _parser() -> argparse.ArgumentParser:
    return _main._parser()


def _shell_lines(language: str, text: str) -> Iterator[str]:
    joined = re.sub(r"\\\n\s*>?", " ", text)
    for line in joined.splitlines():
        if language == "console":
            if line.startswith("$ "):
                yield line[2:]
        else:
            yield line


def _commands(line: str) -> Iterator[list[str]]:
    """Arguments of every ``spectralid`` command in a line of a shell."""
    line = re.sub(r"(?<=\s)[12]?(>>?|<)\s*(&\d|\S+)", " ", line)  # where the streams go is the shell's
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in SEPARATORS:
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["spectralid"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def _problem(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    try:
        _parser().parse_args(arguments)
    except SystemExit as ended:
        said = capsys.readouterr().err
        return said.strip().splitlines()[-1] if ended.code else None
    return None


def _shown_commands() -> list[tuple[str, list[str]]]:
    return [
        (str(block), arguments)
        for page in markdown_pages()
        for block in blocks(page)
        if block.language in SHELLS
        for line in _shell_lines(block.language, block.text)
        for arguments in _commands(line)
    ]


def test_commands_in_blocks_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    found = _shown_commands()
    assert len(found) > 60
    wrong = [
        f"{where}: spectralid {shlex.join(arguments)}: {problem}"
        for where, arguments in found
        if (problem := _problem(arguments, capsys))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("spectralid no-such-command", "A=1 spectralid identify x.spc --no-such-option | head"):
        (arguments,) = _commands(line)
        assert _problem(arguments, capsys)


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _named_wrongly(words: list[str]) -> str | None:
    """What in a command named within a sentence does not exist; its arguments may be left out."""
    parser = _parser()
    rest = words
    while rest and (children := _children(parser)):
        if rest[0] not in children:
            return None if rest[0].startswith("-") or not re.fullmatch(r"[a-z-]+", rest[0]) else rest[0]
        parser, rest = children[rest[0]], rest[1:]
    options = {option for action in parser._actions for option in action.option_strings}
    for word in rest:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in options:
            return option
    return None


@pytest.mark.parametrize("page", markdown_pages(), ids=shown)
def test_commands_named_in_sentences_exist(page: Path) -> None:
    wrong = []
    for token in inline(page):
        if token.type == "code_inline" and token.content.startswith("spectralid "):
            words = token.content.replace("\n", " ").split()[1:]
            if problem := _named_wrongly(words):
                wrong.append(f"{shown(page)}: `{token.content}`: {problem}")
    assert not wrong, "\n".join(wrong)


def test_exit_codes_are_the_same_everywhere() -> None:
    codes = {int(code) for code in _exit.Exit}
    told = {int(code) for code in re.findall(r"(?<![\w.])(\d+) [a-z]", _main._EPILOG)}
    assert told == codes
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Exit codes")[2].partition("## ")[0]
    in_table = {int(code) for code in re.findall(r"\| (\d+) \|", table)}
    assert in_table <= codes
    described = texts_below_assignments(inspect.getsource(_exit.Exit))
    assert set(described) == {code.name for code in _exit.Exit}


def test_the_site_shows_nobodys_home_folder() -> None:
    import commands

    waiting = [commands.parser()]
    texts = []
    while waiting:
        one = waiting.pop()
        waiting += _children(one).values()
        texts.append(one.format_help())
    assert len(texts) > 40
    assert any("~/.spectralid" in text.replace("\n", "") for text in texts)
    assert not [text for text in texts if str(Path.home()) in text]
