"""requests-oauthlib's session for the password grant against the service, as documented.

Prints a line for each operation that succeeded: client, operation, result.
"""

import os

from oauthlib.oauth2 import (
    BackendApplicationClient,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    LegacyApplicationClient,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
import requests
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

URL = os.environ["VESTIBULE"]
USER = {"username": os.environ["EMAIL"], "password": os.environ["PASSWORD"]}
SECRET = os.environ["SECRET"]
TOKEN, REVOKE, ME = f"{URL}/oauth/token", f"{URL}/oauth/revoke", f"{URL}/v1/me"

# For each client: its id, the arguments to fetch and to refresh, and a wrong secret.
CLIENTS = {
    "web, public": (
        "web",
        {"include_client_id": True},
        {"client_id": "web"},
        {"include_client_id": True, "client_secret": "not-the-right-secret"},
    ),
    # by default the library sends a public client as Basic with an empty secret
    "web, Basic without secret": (
        "web",
        {},
        {"auth": HTTPBasicAuth("web", "")},
        {"client_secret": "not-the-right-secret"},
    ),
    "shop, client_secret_basic": (
        "shop",
        {"client_secret": SECRET},
        {"auth": HTTPBasicAuth("shop", SECRET)},
        {"client_secret": "not-the-right-secret"},
    ),
    "shop, client_secret_post": (
        "shop",
        {"include_client_id": True, "client_secret": SECRET},
        {"client_id": "shop", "client_secret": SECRET},
        {"include_client_id": True, "client_secret": "not-the-right-secret"},
    ),
}


def done(client, operation, seen):
    print(client, operation, seen, sep="\t", flush=True)


def refused(client, operation, error, attempt):
    """Checks the library's exception for an error of the service."""
    try:
        attempt()
    except error as raised:
        assert raised.description, raised
        done(client, operation, raised.error)
    else:
        raise AssertionError(f"{client}: {operation}: nothing raised")


done("", "errors are", "InvalidGrantError &c.")

for name, (client_id, fetching, refreshing, lying) in CLIENTS.items():

    def session(scope=None, **more):
        client = LegacyApplicationClient(client_id=client_id, scope=scope)
        return OAuth2Session(client=client, **more)

    owner = session()
    first = owner.fetch_token(TOKEN, **USER, **fetching)
    assert first["token_type"] == "Bearer" and first["expires_in"] > 0, first
    done(name, "sign-in", "ok")

    answer = owner.get(ME)
    assert answer.status_code == 200 and answer.json()["email"] == USER["username"], answer.text
    done(name, "use", "ok")

    second = owner.refresh_token(TOKEN, **refreshing)
    assert second["refresh_token"] != first["refresh_token"]
    assert owner.get(ME).status_code == 200
    done(name, "refresh", "ok")

    # a token after a long time in a store: the library refreshes it before the request
    if "auth" not in refreshing:
        updated = []
        stale = session(
            token={**second, "expires_in": -1, "expires_at": 1},
            auto_refresh_url=TOKEN,
            auto_refresh_kwargs=refreshing,
            token_updater=updated.append,
        )
        assert stale.get(ME).status_code == 200
        assert len(updated) == 1 and updated[0]["refresh_token"] != second["refresh_token"]
        done(name, "automatic refresh", "ok")

    # the session cannot revoke, but its client prepares the request
    owner = session()
    last = owner.fetch_token(TOKEN, **USER, **fetching)
    auth = refreshing.get("auth")
    named = {name: value for name, value in refreshing.items() if name != "auth"}
    url, headers, body = owner._client.prepare_token_revocation_request(
        REVOKE, last["refresh_token"], "refresh_token", **named
    )
    answer = requests.post(url, headers=headers, data=body, auth=auth, timeout=30)
    assert answer.status_code == 200, answer.text
    done(name, "revocation", "ok")
    answer = owner.get(ME)
    assert answer.status_code == 401, answer.text
    done(name, "revoked token", answer.status_code)

    wrong = {**USER, "password": "not the right password"}
    refused(
        name,
        "wrong password",
        InvalidGrantError,
        lambda: session().fetch_token(TOKEN, **wrong, **fetching),
    )
    refused(
        name,
        "wrong secret",
        InvalidClientError,
        lambda: session().fetch_token(TOKEN, **USER, **lying),
    )
    refused(
        name,
        "too much scope",
        InvalidScopeError,
        lambda: session("account.read admin").fetch_token(TOKEN, **USER, **fetching),
    )

    machine = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
    refused(
        name,
        "unknown grant",
        UnsupportedGrantTypeError,
        lambda: machine.fetch_token(TOKEN, **fetching),
    )
    kiosk = OAuth2Session(client=LegacyApplicationClient(client_id="kiosk"))
    refused(
        name,
        "grant not allowed",
        UnauthorizedClientError,
        lambda: kiosk.refresh_token(
            TOKEN, refresh_token=first["refresh_token"], client_id="kiosk"
        ),
    )
    broken = {**USER, "username": "a\0b"}
    refused(
        name,
        "broken request",
        # several of its errors have this code, and the raised error has no more details
        OAuth2Error,
        lambda: session().fetch_token(TOKEN, **broken, **fetching),
    )

    # a thief has copied a refresh token, and uses it after its owner did
    owner = session()
    stolen = owner.fetch_token(TOKEN, **USER, **fetching)["refresh_token"]
    fresh = owner.refresh_token(TOKEN, refresh_token=stolen, **refreshing)
    refused(
        name,
        "spent refresh token",
        InvalidGrantError,
        lambda: session().refresh_token(TOKEN, refresh_token=stolen, **refreshing),
    )
    refused(
        name,
        "after the theft",
        InvalidGrantError,
        lambda: session().refresh_token(TOKEN, refresh_token=fresh["refresh_token"], **refreshing),
    )
