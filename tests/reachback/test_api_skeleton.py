def test_it_answers(client_as):
    assert client_as().get("/healthz").json()["status"] == "ok"
    assert client_as().get("/readyz").status_code == 200
    said = client_as().get("/v1/openapi.json").json()
    assert said["openapi"].startswith("3.1")


def test_figures_are_not_for_everybody(client_as):
    assert client_as().get("/metrics").status_code == 401
    reply = client_as("chemist").get("/metrics")
    assert reply.status_code == 403
    assert reply.headers["content-type"] == "application/problem+json"
    assert "spectralid_cases" in client_as("admin").get("/metrics").text
    assert client_as("device").get("/metrics").status_code == 403
