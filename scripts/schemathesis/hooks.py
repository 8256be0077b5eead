"""What Schemathesis is told about this API beyond its document: loaded by run.py through SCHEMATHESIS_HOOKS.

Counts the requests, keeps the role that is tested alive, and checks what the document cannot say: that every refusal has
the API's own form and names the request.
"""

import atexit
import json
import os

import schemathesis

COUNT_FILE = os.environ["KEYFOLD_COUNT_FILE"]
OWN_USER = os.environ.get("KEYFOLD_OWN_USER", "")
OWN_KEY = os.environ.get("KEYFOLD_OWN_KEY", "")

requests = 0
statuses = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    # An act on oneself that works ends the run's rights, and all that follows would only be refused.
    parameters = case.path_parameters or {}
    if case.method.upper() in ("DELETE", "PATCH", "POST"):
        if OWN_USER and parameters.get("user") == OWN_USER:
            parameters["user"] = "usr_0000000000000000000000"
        if OWN_KEY and parameters.get("key") == OWN_KEY:
            parameters["key"] = "key_0000000000000000000000"
    # So does the end of the workspace that everything happens in.
    if case.method.upper() == "DELETE" and case.path.endswith("/workspaces/{workspace}"):
        parameters["workspace"] = "gone"


@schemathesis.hook
def after_call(context, case, response):
    global requests
    requests += 1
    statuses[response.status_code] = statuses.get(response.status_code, 0) + 1


@schemathesis.check
def refusals_have_our_form(ctx, response, case):
    """Every refusal is a problem with a stable code, under the id that the header names."""
    ids = response.headers.get("x-request-id")
    assert ids and ids[0].startswith("req_"), "the answer names no request"
    # What a proxy is told is told in the words of the application behind it.
    if response.status_code < 400 or response.request.method == "HEAD" or "/forward-auth" in case.path:
        return
    kind = response.headers.get("content-type", [""])[0]
    assert kind == "application/problem+json", f"a refusal is {kind!r}"
    problem = json.loads(response.content)
    assert problem["status"] == response.status_code, "the body and the status line differ"
    assert problem["request_id"] == ids[0], "the body names another request than the header"
    assert problem["code"] and problem["detail"] and problem["title"], "the refusal says nothing"
    if response.status_code in (429, 503):
        assert response.headers.get("retry-after"), "nobody says when to come back"
    if response.status_code == 401:
        assert response.headers.get("www-authenticate"), "nobody says how to authenticate"
    if response.status_code == 405:
        assert response.headers.get("allow"), "nobody says which methods there are"


@atexit.register
def write_down():
    with open(COUNT_FILE, "w", encoding="utf-8") as file:
        json.dump({"requests": requests, "statuses": statuses}, file)
