"""Who gets in: a browser with the key, from this machine, and its own page only."""

import asyncio

import pytest

from spectralid.tablet.doorman import COOKIE, Doorman

KEY, SESSION = "the-key", "the-secret-of-the-session"


async def inner(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-inner", b"1")]})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(path="/api/state", *, method="GET", host="127.0.0.1:8765", query="", **headers):
    """Status, headers and body of one request."""
    said = []

    async def send(message):
        said.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (b"host", host.encode()),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    asyncio.run(Doorman(inner, KEY, SESSION)(scope, None, send))
    return said[0]["status"], dict(said[0]["headers"]), said[1]["body"]


COOKIES = {"cookie": f"{COOKIE}={SESSION}"}


def test_the_key_is_exchanged_for_a_cookie_no_script_and_no_other_site_gets():
    status, headers, _ = ask("/", query=f"key={KEY}")
    assert (status, headers[b"location"]) == (303, b"/")
    cookie = headers[b"set-cookie"].decode()
    assert cookie.startswith(f"{COOKIE}={SESSION};")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize("query", ["key=wrong", "key=the-ke", "key=%C3%A9"])
def test_a_wrong_key_gets_no_cookie(query):
    status, headers, _ = ask("/", query=query)
    assert status == 403
    assert b"set-cookie" not in headers


@pytest.mark.parametrize(
    "cookie", ["", f"{COOKIE}=wrong", f"{COOKIE}=", "other=1", f"x{COOKIE}={SESSION}", "=;=\x00"]
)
def test_without_the_cookie_nothing_is_told(cookie):
    status, _, body = ask(cookie=cookie)
    assert status == 403
    assert b"inside" not in body


def test_with_the_cookie_everything_may_be_read():
    assert ask(**COOKIES)[::2] == (200, b"inside")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_what_changes_anything_needs_the_header_no_other_site_can_set(method):
    assert ask(method=method, **COOKIES)[0] == 403
    assert ask(method=method, x_spectralid="1", **COOKIES)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8765", "evil.example", "127.0.0.1.evil.example:8765", "", ":8765", "[::2]:8765"]
)
def test_a_name_that_was_pointed_here_from_elsewhere_is_not_served(host):
    assert ask(host=host, **COOKIES)[0] == 421
    assert ask("/", host=host, query=f"key={KEY}")[0] == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "127.0.0.1", "[::1]:80", "[::1]"])
def test_names_of_this_machine_are(host):
    assert ask(host=host, **COOKIES)[0] == 200


@pytest.mark.parametrize("given", [COOKIES, {}])
def test_a_page_may_load_nothing_from_elsewhere_and_not_be_framed(given):
    policy = ask("/", **given)[1][b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
