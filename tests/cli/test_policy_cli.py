"""``spectralid policy``, and verdicts by a policy and in a language."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from spectralid import LibraryBuilder, Spectrum, write
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.library import Compound, Tier
from spectralid.verdict import PolicyKeeper, default_policy, load_policy
from spectralid.verdict.catalog import Catalog, topics_of

AXIS = np.arange(200.0, 2000.0, 2.0)
BANDS = {"lactose": (350, 480, 850, 1085), "gypsum": (415, 620, 1008), "caffeine": (555, 740, 1330, 1600)}


def _spectrum(name: str, seed: int = 1) -> Spectrum:
    noise = np.random.default_rng(seed).normal(0, 0.005, AXIS.size)
    heights = np.linspace(1.0, 0.5, len(BANDS[name]))
    bands = sum(h * np.exp(-0.5 * ((AXIS - p) / 6) ** 2) for h, p in zip(heights, BANDS[name], strict=True))
    return Spectrum(AXIS, 0.2 + bands + noise, "raman", name=name)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    builder = LibraryBuilder("test")
    for name in BANDS:
        compound = Compound(name, name.title(), category="cutting-agent/organic", hazards=("none",))
        builder.add(_spectrum(name), compound, tier=Tier.MEASURED, licence="CC0-1.0")
    builder.write(tmp_path / "test.h5")
    return tmp_path / "test.h5"


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    write(_spectrum("caffeine", seed=2), tmp_path / "unknown.csv")
    return tmp_path / "unknown.csv"


@pytest.fixture
def template(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["policy", "template"]) == 0
    return capsys.readouterr().out


def _kept(folder: Path, text: str) -> str:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_template_is_the_default(template, tmp_path, capsys) -> None:
    assert load_policy(_kept(tmp_path, template)) == default_policy()
    assert main(["policy", "check", str(tmp_path / "policy.toml")]) == 0
    assert f"can be used. {default_policy().title.replace(' 1 ', ' 1, ')}" in capsys.readouterr().out


def test_every_mistake_is_printed_with_its_line_and_the_rest_is_checked(template, tmp_path, capsys) -> None:
    good = tmp_path / "good.toml"
    good.write_text(template, encoding="utf-8")
    wrong = template.replace("margin = 0.05", "margin = 5").replace('"tic"]', '"tick"]')
    bad = _kept(tmp_path, wrong)
    assert main(["policy", "check", bad, str(good)]) == Exit.UNREADABLE
    out, err = capsys.readouterr()
    assert out.startswith(f"{good}: can be used.")
    lines = [
        i for i, line in enumerate(wrong.splitlines(), 1) if line in ("margin = 5", 'categories = ["tick"]')
    ]
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{bad}, line {i}" for i in lines]


def test_a_policy_that_cannot_be_used_decides_nothing(template, tmp_path, library, unknown, capsys) -> None:
    bad = _kept(tmp_path, template.replace("margin = 0.05", "margin = 5"))
    code = main(["identify", str(unknown), "-l", str(library), "--policy", bad])
    out, err = capsys.readouterr()
    assert code == Exit.UNREADABLE
    assert "IDENTIFIED" not in out
    assert "thresholds.margin must be a number" in err
    assert main(["policy", "show", bad]) == Exit.UNREADABLE


def test_show_tells_all_of_it(capsys) -> None:
    assert main(["policy", "show"]) == 0
    out = capsys.readouterr().out
    policy = default_policy()
    flat = " ".join(out.split())
    for said in (
        *policy.hazards,
        *policy.families,
        *(rule.name for rule in policy.rules),
        policy.sha256,
        "qa_rate",
    ):
        assert said in flat
    assert max(map(len, out.splitlines())) <= 110
    assert main(["policy", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**policy.to_dict(), "sha256": policy.sha256}


def test_install_puts_it_in_force_on_the_tablet_unless_there_is_a_mistake(template, tmp_path, capsys) -> None:
    data = tmp_path / "tablet"
    own = _kept(tmp_path, template.replace('version = "1"', 'version = "2"'))
    assert main(["policy", "install", own, "--data", str(data)]) == 0
    assert "In force: spectralid default 2 " in capsys.readouterr().out
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(template.replace("margin = 0.05", "margin = 5"), encoding="utf-8")
    assert main(["policy", "install", str(wrong), "--data", str(data)]) == Exit.UNREADABLE
    assert "wrong.toml, line " in capsys.readouterr().err
    assert main(["policy", "show", "--data", str(data)]) == 0
    assert capsys.readouterr().out.startswith("spectralid default 2, ")
    assert PolicyKeeper(data / "policy").current.version == "2"
    (kept,) = (data / "policy").glob("policy-*.toml")
    kept.write_bytes(b"")
    assert main(["policy", "show", "--data", str(data)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("spectralid default 1, ")
    assert err.startswith("DAMAGED, ")


def test_diff_tells_what_changed_and_nothing_else(template, tmp_path, capsys) -> None:
    begin = template.index('[[rules]]\nname = "pesticides"')
    end = template.index("[[rules]]", begin + 5)
    changed = (template[:begin] + template[end:]).replace("margin = 0.05", "margin = 0.06")
    changed = changed.replace('flammable = { alarm = "warning"', 'flammable = { alarm = "notice"')
    other = _kept(tmp_path, changed)
    assert main(["policy", "diff", "default", other, "--json"]) == Exit.DIFFERENT
    differences = {d["key"]: (d["a"], d["b"]) for d in json.loads(capsys.readouterr().out)["differences"]}
    assert differences.pop("thresholds: margin") == (0.05, 0.06)
    assert differences.pop("hazards: flammable: alarm") == ("warning", "notice")
    assert differences.pop("rules: pesticides: hazards") == (["toxic"], None)
    order = differences.pop("rules: order")
    assert [name for name in order[0] if name not in order[1]] == ["pesticides"]
    assert set(differences) == {"rules: pesticides: categories", "rules: pesticides: escalate"}
    assert main(["policy", "diff", "default", other]) == Exit.DIFFERENT
    out = capsys.readouterr().out
    assert "thresholds: margin\n  - 0.05\n  + 0.06\n" in out
    assert main(["policy", "diff", "default", "default"]) == 0
    assert capsys.readouterr().out == ""


def test_a_language_template_is_toml_with_every_text(template, tmp_path, capsys) -> None:
    assert main(["policy", "template", "--language", "fr"]) == 0
    out = capsys.readouterr().out
    assert tomllib.loads(out)["wording"]["fr"] == dict(Catalog.load(topics=topics_of("en")).texts)
    text = template.replace('languages = ["en", "es"]', 'languages = ["en", "es", "fr"]') + out
    assert load_policy(_kept(tmp_path, text)).languages == ("en", "es", "fr")


def test_a_verdict_in_spanish(library, unknown, capsys) -> None:
    assert main(["identify", str(unknown), "-l", str(library), "--language", "es"]) == Exit.IDENTIFIED
    out = capsys.readouterr().out
    assert "IDENTIFICADO (PRESUNTIVO): Cafeína" in out
    assert "Laboratorio:" in out
    args = ["identify", str(unknown), str(unknown), "-l", str(library)]
    main([*args, "--language", "es"])
    assert "identified – Cafeína (similitud " in capsys.readouterr().out
    main(args)
    assert "identified – Caffeine (score " in capsys.readouterr().out


def test_a_language_nobody_has_is_a_usage_error(library, unknown, capsys) -> None:
    assert main(["identify", str(unknown), "-l", str(library), "--language", "xx"]) == Exit.USAGE
    assert "one of en, es" in capsys.readouterr().err


def test_a_verdict_by_a_policy_of_ones_own(template, tmp_path, library, unknown, capsys) -> None:
    own = template.replace('name = "spectralid default"', 'name = "Port of entry"').replace(
        'alarm_from = "warning"', 'alarm_from = "notice"'
    )
    args = ["identify", str(unknown), "-l", str(library), "--json"]
    assert main([*args, "--policy", _kept(tmp_path, own)]) == Exit.IDENTIFIED
    verdict = json.loads(capsys.readouterr().out)["results"][0]["verdict"]
    assert verdict["policy"].startswith("Port of entry 1 ")
    assert verdict["escalation"] == ["policy_high_hazard"]
    assert main(args) == Exit.IDENTIFIED
    verdict = json.loads(capsys.readouterr().out)["results"][0]["verdict"]
    assert verdict["policy"] == default_policy().title
    assert "policy_high_hazard" not in verdict["escalation"]
