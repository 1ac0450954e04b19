"""Authlib's OAuth2Session against the service, as its documentation shows it.

Prints a line for each operation that succeeded: client, operation, result.
"""

import os

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

URL = os.environ["VESTIBULE"]
USER = {"username": os.environ["EMAIL"], "password": os.environ["PASSWORD"]}
SECRET = os.environ["SECRET"]
TOKEN, ME = f"{URL}/oauth/token", f"{URL}/v1/me"
REVOKE, INTROSPECT = f"{URL}/oauth/revoke", f"{URL}/oauth/introspect"

CLIENTS = {
    "web, public": {"client_id": "web"},
    "shop, client_secret_basic": {
        "client_id": "shop",
        "client_secret": SECRET,
        "token_endpoint_auth_method": "client_secret_basic",
    },
    "shop, client_secret_post": {
        "client_id": "shop",
        "client_secret": SECRET,
        "token_endpoint_auth_method": "client_secret_post",
    },
}


def done(client, operation, seen):
    print(client, operation, seen, sep="\t", flush=True)


def refused(client, operation, error, attempt):
    """Checks the library's exception for an error of the service."""
    try:
        attempt()
    except OAuthError as raised:
        assert raised.error == error, raised
        assert raised.description, raised
        done(client, operation, raised.error)
    else:
        raise AssertionError(f"{client}: {operation}: nothing raised")


done("", "errors are", "OAuthError.error")

for name, client in CLIENTS.items():
    updated = []

    def update_token(token, refresh_token=None, access_token=None):
        updated.append(token)

    def session(**more):
        return OAuth2Session(**client, token_endpoint=TOKEN, update_token=update_token, **more)

    owner = session()
    first = owner.fetch_token(TOKEN, **USER)
    assert first["token_type"] == "Bearer" and first["expires_in"] > 0, first
    done(name, "sign-in", "ok")

    answer = owner.get(ME)
    assert answer.status_code == 200 and answer.json()["email"] == USER["username"], answer.text
    done(name, "use", "ok")

    # a token after a long time in a store: the library refreshes it before the request
    stale = session(token={**first, "expires_at": 1})
    assert stale.get(ME).status_code == 200
    assert len(updated) == 1 and updated[0]["refresh_token"] != first["refresh_token"]
    done(name, "automatic refresh", "ok")

    second = stale.refresh_token(TOKEN, refresh_token=updated[0]["refresh_token"])
    assert second["access_token"] not in (first["access_token"], updated[0]["access_token"])
    assert stale.get(ME).status_code == 200
    done(name, "refresh", "ok")

    if "client_secret" in client:
        known = stale.introspect_token(INTROSPECT, token=second["access_token"]).json()
        assert known["active"] and known["client_id"] == client["client_id"], known
        assert known["scope"] == second["scope"] and known["username"] == USER["username"], known

    answer = stale.revoke_token(REVOKE, token=second["refresh_token"], token_type_hint="refresh_token")
    assert answer.status_code == 200, answer.text
    done(name, "revocation", "ok")
    answer = session(token=dict(second)).get(ME)
    assert answer.status_code == 401, answer.text
    done(name, "revoked token", answer.status_code)

    if "client_secret" in client:
        known = stale.introspect_token(INTROSPECT, token=second["access_token"]).json()
        assert known == {"active": False}, known
        done(name, "introspection", "ok")

    wrong = {**USER, "password": "not the right password"}
    refused(name, "wrong password", "invalid_grant", lambda: session().fetch_token(TOKEN, **wrong))
    stranger = OAuth2Session(**{**client, "client_secret": "not-the-right-secret"})
    refused(name, "wrong secret", "invalid_client", lambda: stranger.fetch_token(TOKEN, **USER))
    greedy = session(scope="account.read admin")
    refused(name, "too much scope", "invalid_scope", lambda: greedy.fetch_token(TOKEN, **USER))

    refused(
        name,
        "unknown grant",
        "unsupported_grant_type",
        lambda: session().fetch_token(TOKEN, grant_type="client_credentials"),
    )
    kiosk = OAuth2Session(client_id="kiosk")
    refused(
        name,
        "grant not allowed",
        "unauthorized_client",
        lambda: kiosk.refresh_token(TOKEN, refresh_token=first["refresh_token"]),
    )
    broken = {**USER, "username": "a\0b"}
    refused(name, "broken request", "invalid_request", lambda: session().fetch_token(TOKEN, **broken))

    # a thief has copied a refresh token, and uses it after its owner did
    owner = session()
    stolen = owner.fetch_token(TOKEN, **USER)["refresh_token"]
    fresh = owner.refresh_token(TOKEN, refresh_token=stolen)
    refused(
        name,
        "spent refresh token",
        "invalid_grant",
        lambda: session().refresh_token(TOKEN, refresh_token=stolen),
    )
    refused(
        name,
        "after the theft",
        "invalid_grant",
        lambda: session().refresh_token(TOKEN, refresh_token=fresh["refresh_token"]),
    )
