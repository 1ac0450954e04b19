//! Tests of CORS: which scripts of other origins may read which answer.

use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::asynchronous::LocalResponse;
use vestibule::config::ClientSettings;
use vestibule::testing::TestApp;

use crate::support::{self, ADA, bearer, form, header, sign_in_fields};
use crate::support_clients::{add, id, public};

const WEB: &str = "https://app.example.org";
const OTHER: &str = "http://localhost:3000";

const SETTINGS: &str = "[default.vestibule.clients.web]\n\
    allowed_origins = [\"https://app.example.org\"]\n\
    [default.vestibule.clients.kiosk]\n\
    allowed_origins = \"http://localhost:3000\"\n";

async fn app() -> TestApp {
    let app = support::configured(SETTINGS).await;
    app.account(ADA).await;
    app
}

fn origin(origin: &str) -> Header<'static> {
    Header::new("Origin", origin.to_owned())
}

/// The CORS headers of an answer.
fn cors(response: &LocalResponse<'_>) -> Vec<(String, String)> {
    let headers = response.headers().iter();
    let of_cors =
        headers.filter(|h| h.name().as_str().to_lowercase().starts_with("access-control-"));
    of_cors.map(|h| (h.name().to_string(), h.value().to_owned())).collect()
}

/// Whether a script of this origin may read the answer. Checks that the answer neither reflects an
/// origin nor allows credentials.
fn readable(response: &LocalResponse<'_>, from: &str) -> bool {
    let all = cors(response);
    assert!(
        !all.iter().any(|(name, _)| name.eq_ignore_ascii_case("Access-Control-Allow-Credentials"))
    );
    assert!(!all.iter().any(|(_, value)| value.contains('*')), "{all:?}");
    match header(response, "Access-Control-Allow-Origin") {
        Some(allowed) => {
            assert_eq!(allowed, from);
            assert_eq!(header(response, "Vary"), Some("Origin"));
            true
        }
        None => {
            assert_eq!(all, [], "{from}");
            false
        }
    }
}

async fn preflight<'a>(
    app: &'a TestApp,
    path: &str,
    from: &str,
    method: &str,
) -> LocalResponse<'a> {
    let request = app.client.req(Method::Options, path.to_owned()).header(origin(from));
    let request = request.header(Header::new("Access-Control-Request-Method", method.to_owned()));
    let wanted = "authorization, content-type";
    request.header(Header::new("Access-Control-Request-Headers", wanted)).dispatch().await
}

/// Ada signs in through `client`, by a script of this origin.
async fn signs_in<'a>(app: &'a TestApp, client: &str, from: &str) -> LocalResponse<'a> {
    let mut fields = sign_in_fields();
    fields.retain(|(name, _)| *name != "client_id");
    let fields = [&fields[..], &[("client_id", client)]].concat();
    let request = app.client.post("/oauth/token").header(ContentType::Form).header(origin(from));
    request.body(form(&fields)).dispatch().await
}

#[rocket::async_test]
async fn preflight_of_an_existing_path_lists_its_methods() {
    let app = app().await;
    for (path, methods) in [
        ("/oauth/token", "POST"),
        ("/oauth/revoke", "POST"),
        ("/oauth/introspect", "POST"),
        ("/oauth/check", "GET, HEAD"),
        ("/v1/me", "GET, HEAD, PATCH"),
        ("/v1/me/password", "PUT"),
        ("/v1/me/sessions", "DELETE, GET, HEAD"),
        ("/v1/me/sessions/01912345-6789-7abc-8def-0123456789ab", "DELETE"),
        ("/.well-known/oauth-authorization-server", "GET, HEAD"),
    ] {
        let response = preflight(&app, path, WEB, "POST").await;
        assert_eq!(response.status(), Status::NoContent, "{path}");
        assert!(readable(&response, WEB), "{path}");
        assert_eq!(header(&response, "Access-Control-Allow-Methods"), Some(methods), "{path}");
        let headers = header(&response, "Access-Control-Allow-Headers").unwrap();
        for wanted in ["Authorization", "Content-Type"] {
            assert!(headers.contains(wanted), "{headers}");
        }
        assert!(header(&response, "Access-Control-Max-Age").is_some());
        assert_eq!(header(&response, "Access-Control-Expose-Headers"), None);
    }
}

#[rocket::async_test]
async fn f11_preflight_allows_tracing_headers_and_reflects_none() {
    let app = app().await;
    let wanted = [
        "authorization",
        "content-type",
        "x-request-id",
        "x-requested-with",
        "x-correlation-id",
        "traceparent",
        "tracestate",
        "baggage",
        "sentry-trace",
        "b3",
        "x-b3-traceid",
        "uber-trace-id",
        "newrelic",
        "elastic-apm-traceparent",
        "request-id",
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "cache-control",
        "pragma",
    ];
    for path in ["/oauth/token", "/v1/me", "/.well-known/oauth-authorization-server"] {
        let request = app.client.req(Method::Options, path).header(origin(WEB));
        let request = request.header(Header::new("Access-Control-Request-Method", "POST"));
        let asked = format!("{},x-unlisted", wanted.join(","));
        let request = request.header(Header::new("Access-Control-Request-Headers", asked));
        let response = request.dispatch().await;
        assert_eq!(response.status(), Status::NoContent, "{path}");
        assert!(readable(&response, WEB), "{path}");
        let allowed = header(&response, "Access-Control-Allow-Headers").unwrap().to_lowercase();
        let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
        for name in wanted {
            assert!(allowed.contains(&name), "{name}: {allowed:?}");
        }
        assert!(!allowed.contains(&"x-unlisted"), "{allowed:?}");
        let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(
            allowed.iter().all(|name| !name.is_empty() && name.chars().all(is_token)),
            "{allowed:?}"
        );
    }
}

#[rocket::async_test]
async fn preflight_of_an_unknown_path_is_404_and_other_options_405() {
    let app = app().await;
    for path in ["/oauth/nothing", "/v1/nothing", "/.well-known/nothing", "/nothing"] {
        let response = preflight(&app, path, WEB, "POST").await;
        assert_eq!(response.status(), Status::NotFound, "{path}");
        assert_eq!(header(&response, "Access-Control-Allow-Methods"), None, "{path}");
    }
    // an `OPTIONS` request that is no preflight is a method that the path lacks
    for headers in
        [vec![], vec![origin(WEB)], vec![Header::new("Access-Control-Request-Method", "POST")]]
    {
        let mut request = app.client.req(Method::Options, "/oauth/token");
        for header in headers {
            request.add_header(header);
        }
        let response = request.dispatch().await;
        assert_eq!(response.status(), Status::MethodNotAllowed);
        assert_eq!(header(&response, "Allow"), Some("POST"));
    }
}

#[rocket::async_test]
async fn origins_outside_the_list_get_no_cors_headers() {
    let app = app().await;
    for from in [
        "https://evil.example",
        "null",
        "*",
        "",
        "http://app.example.org",
        "https://app.example.org/",
        "https://app.example.org:443",
        "https://app.example.org:8443",
        "https://APP.example.org",
        "https://app.example.org.evil.example",
        "https://evil.example#https://app.example.org",
        "https://sub.app.example.org",
        "https://app.example.org https://evil.example",
        "https://accounts.example.org",
    ] {
        for path in ["/oauth/token", "/v1/me"] {
            let response = preflight(&app, path, from, "POST").await;
            assert!(!readable(&response, from), "{from} {path}");
            assert_eq!(header(&response, "Vary"), Some("Origin"), "{from} {path}");
        }
        assert!(!readable(&signs_in(&app, "web", from).await, from), "{from}");
        let response = app.client.get("/v1/me").header(origin(from)).dispatch().await;
        assert!(!readable(&response, from), "{from}");
    }
    // a request without `Origin` gets no CORS headers, but still `Vary: Origin` for caches
    let response = app.client.get("/v1/me").dispatch().await;
    assert_eq!((cors(&response), header(&response, "Vary")), (vec![], Some("Origin")));
}

#[rocket::async_test]
async fn scripts_cannot_read_responses_to_other_clients() {
    let app = app().await;
    for (client, from, may) in [
        ("web", WEB, true),
        ("web", OTHER, false),
        ("kiosk", OTHER, true),
        ("kiosk", WEB, false),
        // this client has no origin
        ("shop", WEB, false),
        ("nobody", WEB, false),
    ] {
        let response = signs_in(&app, client, from).await;
        assert_eq!(readable(&response, from), may, "{client} {from}");
    }
    let signed = app.sign_in_to("web", ADA).await;
    for path in
        ["/v1/me", "/v1/me/sessions", "/v1/me/export", "/oauth/check", "/oauth/check?scope=x"]
    {
        for (from, may) in [(WEB, true), (OTHER, false)] {
            let response = signed.get(path).header(origin(from)).dispatch().await;
            assert_eq!(readable(&response, from), may, "{path} {from}");
        }
    }
}

#[rocket::async_test]
async fn scripts_of_the_default_client_read_its_responses() {
    let toml = format!("{SETTINGS}[default.vestibule]\ndefault_client = \"web\"\n");
    let app = support::configured(&toml).await;
    app.account(ADA).await;
    for (from, may) in [(WEB, true), (OTHER, false)] {
        let mut fields = sign_in_fields();
        fields.retain(|(name, _)| *name != "client_id");
        let request =
            app.client.post("/oauth/token").header(ContentType::Form).header(origin(from));
        let response = request.body(form(&fields)).dispatch().await;
        assert_eq!(response.status(), Status::Ok);
        assert_eq!(readable(&response, from), may, "{from}");
    }
}

#[rocket::async_test]
async fn scripts_can_read_errors_and_their_headers() {
    let app = app().await;
    let exposed = |response: &LocalResponse<'_>| {
        let exposed = header(response, "Access-Control-Expose-Headers").unwrap_or_default();
        exposed.contains("WWW-Authenticate") && exposed.contains("Retry-After")
    };
    let response = app.client.get("/v1/me").header(origin(WEB)).dispatch().await;
    assert_eq!(response.status(), Status::Unauthorized);
    assert!(readable(&response, WEB) && exposed(&response));
    assert_eq!(header(&response, "WWW-Authenticate"), Some("Bearer"));

    let request = app.client.get("/v1/me").header(origin(WEB)).header(bearer("vat_x"));
    let response = request.dispatch().await;
    assert_eq!(response.status(), Status::Unauthorized);
    assert!(readable(&response, WEB) && exposed(&response));

    let request = app.client.post("/oauth/token").header(ContentType::Form).header(origin(WEB));
    let response = request.body("grant_type=password&client_id=web&username=a&username=b");
    let response = response.dispatch().await;
    assert_eq!(response.status(), Status::BadRequest);
    assert!(readable(&response, WEB) && exposed(&response));

    let mut fields = sign_in_fields();
    fields.retain(|(name, _)| *name != "password");
    fields.push(("password", "a wrong one"));
    let request = app.client.post("/oauth/token").header(ContentType::Form).header(origin(WEB));
    let response = request.body(form(&fields)).dispatch().await;
    assert_eq!(response.status(), Status::BadRequest);
    assert!(readable(&response, WEB) && exposed(&response));

    let response = app.client.get("/v1/nothing").header(origin(WEB)).dispatch().await;
    assert_eq!(response.status(), Status::NotFound);
    assert!(readable(&response, WEB));
}

#[rocket::async_test]
async fn pages_allow_no_cross_origin_reads() {
    let app = app().await;
    for path in [
        "/account",
        "/account/sign-in",
        "/activate",
        "/reset-password",
        "/confirm-email",
        "/problems/no-token",
        "/health/live",
    ] {
        let response = app.client.get(path).header(origin(WEB)).dispatch().await;
        assert!(!readable(&response, WEB), "{path}");
        let response = preflight(&app, path, WEB, "POST").await;
        assert!(!readable(&response, WEB), "{path}");
        assert_ne!(response.status(), Status::NoContent, "{path}");
    }
}

#[rocket::async_test]
async fn database_clients_allow_origins_until_disabled() {
    let app = app().await;
    let desk = "https://desk.example";
    assert!(!readable(&preflight(&app, "/oauth/token", desk, "POST").await, desk));
    let described = ClientSettings { allowed_origins: vec![desk.to_owned()], ..public() };
    add(&app, "desk", &described).await;
    assert!(readable(&preflight(&app, "/oauth/token", desk, "POST").await, desk));
    assert!(readable(&signs_in(&app, "desk", desk).await, desk));
    assert!(!readable(&signs_in(&app, "web", desk).await, desk));
    let signed = app.sign_in_to("desk", ADA).await;
    assert!(readable(&signed.get("/v1/me").header(origin(desk)).dispatch().await, desk));
    assert!(!readable(&signed.get("/v1/me").header(origin(WEB)).dispatch().await, WEB));

    assert!(app.oauth().disable_client(&id("desk")).await.unwrap());
    assert!(!readable(&preflight(&app, "/oauth/token", desk, "POST").await, desk));
    assert!(!readable(&signs_in(&app, "desk", desk).await, desk));
}
