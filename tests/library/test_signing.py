"""Signatures hold for one library and one key, and for nothing else."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys

import pytest

from spectralid.cli import main
from spectralid.errors import LibraryError, MissingDependencyError, ParameterError, UnreadableFileError
from spectralid.library import generate_key, sign_library, signing, verify_signature
from spectralid.library.signing import SignatureError
from tests.library.builders import build_small, small_library

cryptography = pytest.importorskip("cryptography")


@pytest.fixture
def key(tmp_path):
    generate_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def signed(tmp_path, key):
    library = small_library(tmp_path)
    sign_library(library, key, tmp_path / "sig.json")
    return library, tmp_path / "sig.json", tmp_path / "key.pub"


def edited(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(changes)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_signature_holds_and_says_by_whom(signed, key):
    library, signature, public = signed
    found = verify_signature(library, signature, public)
    assert (found.name, found.version, found.sha256) == ("small", "3", library.sha256)
    assert json.loads(signature.read_text(encoding="utf-8")) == found.to_dict()


def test_what_is_signed_is_what_the_module_says(signed):
    """Checked with the cryptography package alone, from the words of the documentation."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    library, signature, public = signed
    content = json.loads(signature.read_text(encoding="utf-8"))
    key = load_pem_public_key(public.read_bytes())
    assert content["key_id"] == hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]
    message = (
        b"spectralid-library-signature-v1\0"
        + (
            f'{{"algorithm":"ed25519","key_id":"{content["key_id"]}","library":{{"name":"small",'
            f'"sha256":"{library.sha256}","version":"3"}}}}'
        ).encode()
    )
    key.verify(base64.b64decode(content["signature"]), message)


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
def test_the_private_key_is_its_owners_alone(key):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(ParameterError, match="readable by its owner only"):
        sign_library(None, key, key.with_name("sig"))


def test_a_key_is_never_replaced(key):
    before = key.read_bytes()
    with pytest.raises(ParameterError, match=r"key\.pub is there already"):
        generate_key(key)
    key.with_name("key.pub").unlink()
    with pytest.raises(ParameterError, match="a file that can be made new"):
        generate_key(key)
    assert key.read_bytes() == before
    with pytest.raises(ParameterError, match="a file that can be made new"):
        generate_key(key.parent / "absent" / "key")


def test_another_library_is_refused(signed, tmp_path):
    _, signature, public = signed
    build_small(tmp_path / "small.h5", raman=3)
    with pytest.raises(SignatureError, match=r"it is the signature of small 3 .* do not use it"):
        verify_signature(small_library(tmp_path, raman=3), signature, public)


def test_a_library_whose_values_were_changed_is_refused(signed):
    library, signature, public = signed
    matrix = library.raw("/grids/raman/matrix").tobytes()
    data = library.path.read_bytes()
    at = data.index(matrix)
    library.path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(LibraryError, match="the library is damaged"):
        verify_signature(type(library)(library.path), signature, public)


def test_another_key_is_refused(signed, tmp_path):
    library, signature, _ = signed
    generate_key(tmp_path / "other")
    with pytest.raises(SignatureError, match="it was signed with the key"):
        verify_signature(library, signature, tmp_path / "other.pub")


def test_another_key_that_claims_to_be_this_one_is_refused(signed, tmp_path):
    library, signature, public = signed
    other = generate_key(tmp_path / "other")
    sign_library(library, tmp_path / "other", tmp_path / "forged.json")
    right = json.loads(signature.read_text(encoding="utf-8"))["key_id"]
    assert right != other
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(library, edited(tmp_path / "forged.json", key_id=right), public)


@pytest.mark.parametrize("field", ["name", "version", "sha256"])
def test_any_changed_fact_is_refused(signed, field):
    library, signature, public = signed
    facts = {"name": "small", "version": "3", "sha256": library.sha256, field: "0" * 64}
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(library, edited(signature, library=facts), public)


def test_another_algorithm_is_refused_before_anything_else(signed):
    library, signature, public = signed
    with pytest.raises(SignatureError, match="'none' is not accepted; only 'ed25519' is"):
        verify_signature(library, edited(signature, algorithm="none"), public)


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "AAAA"},
        {"signature": "not base64"},
        {"signature": None},
        {"library": {}},
        {"library": []},
        {"key_id": 7},
        {"key_id": "\ud800"},
        {"format": "other"},
        {"version": 2},
    ],
)
def test_malformed_signatures(signed, changes):
    library, signature, public = signed
    with pytest.raises((UnreadableFileError, SignatureError), match=r"sig\.json"):
        verify_signature(library, edited(signature, **changes), public)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{}", b"[" * 60000, b" " * 70000])
def test_files_that_are_no_signature_or_key(signed, data, tmp_path):
    library, signature, public = signed
    other = tmp_path / "other"
    other.write_bytes(data)
    other.chmod(0o600)
    with pytest.raises(UnreadableFileError, match="other"):
        verify_signature(library, other, public)
    with pytest.raises(UnreadableFileError, match="other"):
        verify_signature(library, signature, other)
    with pytest.raises(UnreadableFileError, match="other"):
        sign_library(library, other, tmp_path / "s")


def test_keys_of_another_kind_are_refused(signed, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    library, signature, _ = signed
    elliptic = ec.generate_private_key(ec.SECP256R1())
    encrypted = serialization.BestAvailableEncryption(b"secret")
    kinds = [(elliptic, serialization.NoEncryption()), (ed25519.Ed25519PrivateKey.generate(), encrypted)]
    for private, protection in kinds:
        path = tmp_path / "other"
        pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
        path.write_bytes(pem)
        path.chmod(0o600)
        with pytest.raises(UnreadableFileError, match="no Ed25519 private key"):
            sign_library(library, path, tmp_path / "s")
    path.write_bytes(
        elliptic.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    with pytest.raises(UnreadableFileError, match="no Ed25519 public key"):
        verify_signature(library, signature, path)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(MissingDependencyError, match=r"spectralid\[sign\]"):
        generate_key(tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_signature_that_cannot_be_written(signed, key, tmp_path):
    with pytest.raises(LibraryError, match="cannot be written"):
        sign_library(signed[0], key, tmp_path / "absent" / "sig")


def test_commands(tmp_path, capsys):
    library, key = str(tmp_path / "small.h5"), str(tmp_path / "key")
    build_small(tmp_path / "small.h5")
    assert main(["library", "keygen", key, "--json"]) == 0
    id = json.loads(capsys.readouterr().out)["key_id"]
    assert main(["library", "sign", library, "--key", key]) == 0
    assert id in capsys.readouterr().out
    check = ["library", "verify", library, "--signature", f"{library}.sig.json", "--public-key", f"{key}.pub"]
    assert main(check) == 0
    assert f"Signed with the key {id}" in capsys.readouterr().out
    assert main([*check, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signed_by"] == id
    assert main(["library", "sign", library, "--key", key, "-o", str(tmp_path / "s"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["algorithm"] == "ed25519"
    assert main(["library", "verify", library, "--signature", f"{library}.sig.json"]) == 2
    build_small(tmp_path / "small.h5", raman=3)
    assert main(check) == 4
    assert "do not use it" in capsys.readouterr().err
    assert main(["library", "keygen", key]) == 2
    assert signing.ALGORITHM == "ed25519"
