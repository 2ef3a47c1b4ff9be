"""Downloads against a server on this machine that fails in every way a server can."""

from __future__ import annotations

import hashlib
import socket

import pytest

from spectralid.errors import ParameterError
from spectralid.library.download import FetchError, download
from tests.library.web import content, status

DATA = bytes(range(256)) * 1024
OTHER = bytes(reversed(DATA))


@pytest.fixture
def target(tmp_path):
    return tmp_path / "files" / "data.bin"


def fetch(url, target, **options):
    """Download without waiting; returns the report and the waits asked for."""
    waits = []
    options = {"maximum_bytes": 10**6, "wait": waits.append, **options}
    return download(url, target, **options), waits


def leftovers(target):
    return sorted(path.name for path in target.parent.glob("*") if path != target)


def test_normal(site, target):
    seen = []
    url = site.put("/data.bin", content(DATA, etag='"1"'))
    report, waits = fetch(url, target, progress=lambda *state: seen.append(state))
    assert target.read_bytes() == DATA
    assert report.sha256 == hashlib.sha256(DATA).hexdigest()
    assert (report.url, report.size, report.resumed_from, waits) == (url, len(DATA), 0, [])
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert leftovers(target) == []
    _, headers = site.requests[0]
    assert headers["User-Agent"].startswith("spectralid/")
    assert headers["Accept-Encoding"] == "identity"
    assert "Range" not in headers


def test_a_size_that_is_not_stated(site, target):
    seen = []
    url = site.put("/data.bin", content(DATA, length=False))
    fetch(url, target, progress=lambda *state: seen.append(state))
    assert target.read_bytes() == DATA
    assert seen[-1] == (len(DATA), None)


@pytest.mark.parametrize(
    "mark", [{"etag": '"one"'}, {"modified": "Wed, 21 Oct 2015 07:28:00 GMT"}], ids=["tag", "date"]
)
def test_resumes_after_a_cut(site, target, mark):
    url = site.put("/data.bin", content(DATA, cut=100_000, **mark), content(DATA, **mark))
    report, waits = fetch(url, target)
    assert target.read_bytes() == DATA
    assert report.resumed_from == 100_000
    assert waits == [1.0]
    _, headers = site.requests[1]
    assert headers["Range"] == "bytes=100000-"
    assert headers["If-Range"] in mark.values()
    assert leftovers(target) == []


def test_resumes_in_a_later_call(site, target):
    url = site.put(
        "/data.bin", content(DATA, etag='"one"', cut=60_000), content(DATA, etag='"one"', cut=70_000)
    )
    with pytest.raises(FetchError, match="cut off after 130000 of 262144 bytes; what has arrived is kept"):
        fetch(url, target, tries=2)
    assert not target.exists()
    site.put("/data.bin", content(DATA, etag='"one"'))
    report, _ = fetch(url, target)
    assert report.resumed_from == 130_000
    assert target.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_starts_over(site, target):
    url = site.put("/data.bin", content(DATA, etag='"one"', cut=100_000), content(OTHER, etag='"two"'))
    report, _ = fetch(url, target)
    assert target.read_bytes() == OTHER
    assert report.resumed_from == 0


def test_a_server_that_ignores_the_condition_is_noticed(site, target):
    """It sends the rest of another file, marked as such."""

    def careless(request):
        del request.headers["If-Range"]
        content(OTHER, etag='"two"')(request)

    url = site.put(
        "/data.bin", content(DATA, etag='"one"', cut=100_000), careless, content(OTHER, etag='"two"')
    )
    fetch(url, target)
    assert target.read_bytes() == OTHER


def test_a_server_that_sends_another_part_is_noticed(site, target):
    def wrong(request):
        request.headers.replace_header("Range", "bytes=5-")
        content(DATA, etag='"one"')(request)

    url = site.put("/data.bin", content(DATA, etag='"one"', cut=100_000), wrong, content(DATA, etag='"one"'))
    fetch(url, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("mark", [{}, {"etag": 'W/"weak"'}], ids=["none", "weak"])
def test_without_a_mark_to_tell_the_file_by_it_starts_over(site, target, mark):
    url = site.put("/data.bin", content(DATA, cut=100_000, **mark), content(DATA, **mark))
    report, _ = fetch(url, target)
    assert "Range" not in site.requests[1][1]
    assert report.resumed_from == 0
    assert target.read_bytes() == DATA


def test_a_server_without_ranges(site, target):
    url = site.put(
        "/data.bin", content(DATA, etag='"1"', cut=100_000), content(DATA, etag='"1"', ranges=False)
    )
    assert fetch(url, target)[0].resumed_from == 0
    assert target.read_bytes() == DATA


def test_a_part_longer_than_the_file_starts_over(site, target):
    url = site.put("/data.bin", content(DATA, etag='"1"', cut=100_000), content(DATA[:5000], etag='"1"'))
    fetch(url, target)
    assert target.read_bytes() == DATA[:5000]


def test_the_part_of_another_address_is_not_gone_on_with(site, target):
    first = site.put("/one.bin", content(DATA, etag='"1"', cut=100_000))
    with pytest.raises(FetchError):
        fetch(first, target, tries=1)
    second = site.put("/two.bin", content(OTHER, etag='"1"'))
    fetch(second, target)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"url": 3}'])
def test_a_damaged_note_beside_the_part_starts_over(site, target, damage):
    url = site.put("/data.bin", content(DATA, etag='"1"', cut=100_000))
    with pytest.raises(FetchError):
        fetch(url, target, tries=1)
    target.with_name("data.bin.partial.json").write_bytes(damage)
    site.put("/data.bin", content(DATA, etag='"1"'))
    fetch(url, target)
    assert target.read_bytes() == DATA


def test_temporary_answers_are_tried_again_ever_later(site, target):
    url = site.put("/data.bin", status(503), status(429, Retry_After="7"), status(500), content(DATA))
    _, waits = fetch(url, target)
    assert waits == [1.0, 7.0, 4.0]
    assert target.read_bytes() == DATA


def test_giving_up(site, target):
    url = site.put("/data.bin", status(503))
    with pytest.raises(FetchError, match=r"failed 3 times, the last time because the server answered 503"):
        fetch(url, target, tries=3)
    assert len(site.requests) == 3
    site.put("/data.bin", status(503, Retry_After="99999"))
    waits = []
    with pytest.raises(FetchError):
        download(url, target, maximum_bytes=1, tries=2, wait=waits.append)
    assert waits == [120.0]


@pytest.mark.parametrize("code", [403, 404, 410])
def test_final_answers_are_not_tried_again(site, target, code):
    url = site.put("/data.bin", status(code))
    with pytest.raises(FetchError, match=f"answered {code}"):
        fetch(url, target)
    assert len(site.requests) == 1
    assert not target.parent.exists()


def test_an_answer_that_is_no_file(site, target):
    url = site.put("/data.bin", status(204))
    with pytest.raises(FetchError, match="answered 204"):
        fetch(url, target)


def test_nobody_there(target):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(FetchError, match="the server cannot be reached"):
            fetch(url, target, tries=2)


def test_redirects_are_followed(site, target):
    site.put("/there.bin", content(DATA))
    url = site.put("/data.bin", status(302, Location="/there.bin"))
    assert fetch(url, target)[0].url == f"{site.url}/there.bin"
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_redirects_to_other_than_the_web_are_refused(site, target, place):
    url = site.put("/data.bin", status(302, Location=place))
    with pytest.raises(FetchError, match="redirects to where spectralid does not go"):
        fetch(url, target)
    assert not target.exists()
    assert len(site.requests) == 1


def test_a_redirect_from_https_to_http_is_refused():
    import urllib.request

    from spectralid.library.download import _Redirects

    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(OSError, match="a redirect to http://"):
        _Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/a")
    moved = _Redirects().redirect_request(request, None, 302, "Found", {}, "https://example.org/b")
    assert moved.full_url == "https://example.org/b"


def test_redirects_in_a_circle(site, target):
    url = site.put("/data.bin", status(302, Location="/data.bin"))
    with pytest.raises(FetchError, match="redirects to where"):
        fetch(url, target)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://x/y", "data.bin", "http:///x", ""])
def test_addresses_that_are_not_of_the_web(target, address):
    with pytest.raises(ParameterError, match="an http or https address"):
        fetch(address, target)


def test_too_large_as_stated(site, target):
    url = site.put("/data.bin", content(DATA))
    with pytest.raises(FetchError, match="262144 bytes, more than the 1000 allowed"):
        fetch(url, target, maximum_bytes=1000)
    assert leftovers(target) == []


def test_too_large_without_saying_so(site, target):
    url = site.put("/data.bin", content(DATA, length=False))
    with pytest.raises(FetchError, match="larger than the 1000 bytes allowed"):
        fetch(url, target, maximum_bytes=1000)
    assert leftovers(target) == []


def test_exactly_as_large_as_allowed(site, target):
    url = site.put("/data.bin", content(DATA))
    assert fetch(url, target, maximum_bytes=len(DATA))[0].size == len(DATA)


def test_a_place_that_cannot_be_written(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    url = site.put("/data.bin", content(DATA))
    with pytest.raises(FetchError, match="cannot be written"):
        fetch(url, tmp_path / "file" / "data.bin")


def test_the_file_that_is_there_stays_until_the_new_one_is_complete(site, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    url = site.put("/data.bin", content(DATA, cut=100))
    with pytest.raises(FetchError):
        fetch(url, target, tries=1)
    assert target.read_bytes() == b"old"
    site.put("/data.bin", content(DATA))
    fetch(url, target)
    assert target.read_bytes() == DATA


def test_a_connection_that_breaks_within_a_file_of_unknown_size(site, target):
    def chunked(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"1000\r\n" + DATA[:500])

    url = site.put("/data.bin", chunked, content(DATA))
    _, waits = fetch(url, target)
    assert waits == [1.0]
    assert target.read_bytes() == DATA


def test_a_certificate_that_cannot_be_verified_is_not_tried_again(target, monkeypatch):
    import ssl
    import urllib.request

    def refuse(*_):
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(urllib.request.HTTPSHandler, "https_open", refuse)
    with pytest.raises(
        FetchError, match=r"cannot be verified \(self-signed certificate\); nothing was fetched"
    ):
        fetch("https://127.0.0.1:1/x", target)


def test_tries(target):
    with pytest.raises(ParameterError, match="at least 1"):
        fetch("http://127.0.0.1:1/x", target, tries=0)
