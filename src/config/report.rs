//! `vestibule config`: report of the settings in force, and of the place that each value came from.

use std::fmt::Write as _;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::setting_error::{SECRET_KEYS, place, without_login};
use super::{Settings, database_url, defaults};

/// Placeholder for the id of any client.
const ANY: &str = "*";

/// One line for each setting: key, value, place. Values of secrets are not shown. Values of unknown
/// keys are not shown either, because such a key may be the misspelt key of a secret.
pub fn report(figment: &Figment) -> String {
    let mut lines = Vec::new();
    for key in ["address", "port", "databases.vestibule.url"] {
        if let Ok(value) = figment.find_value(key) {
            collect(figment, key, &value, Some(&Json::Null), &mut lines);
        }
    }
    let known = known();
    let settings: Dict = figment.extract_inner("vestibule").unwrap_or_default();
    for (key, value) in &settings {
        collect(figment, &format!("vestibule.{key}"), value, known.get(key), &mut lines);
    }
    let width = |column: fn(&Entry) -> &str| lines.iter().map(|l| column(l).chars().count()).max();
    let key_width = width(|line| &line.key).unwrap_or(0);
    let value_width = width(|line| &line.value).unwrap_or(0).min(48);
    let mut report = format!("# profile: {}\n", figment.profile());
    for Entry { key, value, place } in &lines {
        // writing to a String cannot fail
        let _ = writeln!(report, "{key:key_width$} = {value:value_width$}  # {place}");
    }
    report
}

/// All known keys: the keys of the defaults with one client.
fn known() -> Json {
    let client: [(&str, Value); 2] = [("grants", "password".into()), ("scopes", "".into())];
    let client: Dict = client.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let client = Serialized::default(&format!("vestibule.clients.{ANY}"), client);
    let figment = defaults(Figment::from(client).select(rocket::Config::DEBUG_PROFILE));
    Settings::read(&figment).ok().and_then(|it| serde_json::to_value(it).ok()).unwrap_or_default()
}

struct Entry {
    key: String,
    value: String,
    place: String,
}

fn collect(
    figment: &Figment,
    key: &str,
    value: &Value,
    known: Option<&Json>,
    lines: &mut Vec<Entry>,
) {
    if let Value::Dict(_, dict) = value {
        for (name, value) in dict {
            let known = known.and_then(|known| known.get(name).or_else(|| known.get(ANY)));
            collect(figment, &format!("{key}.{name}"), value, known, lines);
        }
        return;
    }
    let place = figment.get_metadata(value.tag()).map_or_else(String::new, |m| place(m, key));
    // the sender is a text or a table
    let is_known = known.is_some_and(|known| !known.is_object() || key == "vestibule.mail.from");
    let value = if is_known { shown(key, value) } else { "(no such key; not shown)".to_owned() };
    lines.push(Entry { key: key.to_owned(), value, place });
}

fn shown(key: &str, value: &Value) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    if key == "databases.vestibule.url" {
        return format!("{:?}", database_url::shown(value.as_str().unwrap_or_default()));
    }
    if SECRET_KEYS.contains(&last) && key != "vestibule.public_url" {
        return "(set, not shown)".to_owned();
    }
    match value {
        Value::String(_, text) => format!("{:?}", without_login(text)),
        Value::Array(_, values) => {
            let values: Vec<String> = values.iter().map(|value| shown("", value)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Dict(..) => "(not shown)".to_owned(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, layers};
    use figment::providers::{Format, Toml};

    fn development(toml: &str) -> Figment {
        layers(Figment::new().merge(Toml::string(toml).nested()).select("debug")).unwrap()
    }

    #[test]
    fn defaults_suffice_for_development() {
        let settings = Settings::read(&development("")).unwrap();
        assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:8000");
        assert_eq!(settings.tokens.access_ttl.to_string(), "15m");
        let from = &settings.mail.from;
        assert_eq!(from.name.as_deref(), Some("Vestibule"));
        assert_eq!(from.address, "no-reply@localhost");
    }

    #[test]
    fn r57_errors_name_the_key_and_the_expected_value() {
        for (toml, expected) in [
            (
                "[default.vestibule.tokens]\naccess_tll = \"5m\"",
                "setting `vestibule.tokens.access_tll`",
            ),
            ("[default.vestibule.tokens]\naccess_tll = \"5m\"", "did you mean `access_ttl`"),
            ("[default.vestibule.tokens]\naccess_ttl = 900", "with its unit, such as 30s"),
            ("[default.vestibule.password]\nmin_length = 7", "expected 8 to 128"),
            ("[default.vestibule.limits]\nfailures_in_a_row = 101", "expected 1 to 100"),
            ("[default.vestibule.limits]\nfree_failures = 101", "no more than failures_in_a_row"),
            ("[default.vestibule.limits]\nlongest_delay = \"0s\"", "expected 1s to 24h"),
            ("[default.vestibule.limits]\nsign_ups_in_all = 2000000", "expected 1 to 1000000"),
            ("[default.vestibule.limits]\nfailures_per_address = 0", "nonzero"),
            ("[default.vestibule]\npublic_url = \"example.org\"", "absolute http or https URL"),
            ("[default.vestibule]\ndefault_client = \"nobody\"", "no client `nobody`"),
            ("[default.vestibule.mail]\ntransport = \"smtp\"", "vestibule.mail.smtp_url"),
            ("[default.vestibule.mail]\ntransport = \"pigeon\"", "`smtp`"),
            (
                "[default.vestibule.mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://h?tls=maybe\"",
                "`vestibule.mail.smtp_url`",
            ),
            (
                "[default.vestibule.mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://h\"\nca_file = \"f\"",
                "`vestibule.mail.ca_file`",
            ),
            (
                "[default.vestibule.mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://h\"\ntimeout = \"0s\"",
                "`vestibule.mail.timeout`",
            ),
            (
                "[default.vestibule.mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://h\"\nhello_name = \"a b\"",
                "`vestibule.mail.hello_name`",
            ),
            (
                "[default.vestibule.clients.web]\npublic = true\nscopes = []",
                "vestibule.clients.web.grants",
            ),
        ] {
            let error = Settings::read(&development(toml)).unwrap_err().to_string();
            assert!(error.contains(expected), "{toml}\n{error}");
        }
    }

    #[test]
    fn f6_sender_is_a_text_or_a_table() {
        let from =
            |toml: &str| Settings::read(&development(toml)).map(|settings| settings.mail.from);
        let odd = "[default.vestibule]\nname = \"Acme, Inc. <:;@>\"";
        assert_eq!(from(odd).unwrap().name.as_deref(), Some("Acme, Inc. <:;@>"));
        let text = "[default.vestibule.mail]\nfrom = \"Acme, Inc. <a@example.org>\"";
        let parts = "[default.vestibule.mail]\nfrom = { name = \"Acme, Inc.\", address = \"a@example.org\" }";
        assert_eq!(from(text).unwrap(), from(parts).unwrap());
        let address = "[default.vestibule.mail.from]\naddress = \"a@example.org\"";
        let address = from(address).unwrap();
        assert_eq!(
            (address.name.as_deref(), &*address.address),
            (Some("Vestibule"), "a@example.org")
        );
        let wrong = from("[default.vestibule.mail]\nfrom = 7").unwrap_err().to_string();
        assert!(
            wrong.contains("`vestibule.mail.from`") && wrong.contains("an address such as"),
            "{wrong}"
        );
    }

    #[test]
    fn grants_and_scopes_are_lists_or_texts() {
        let toml = "[default.vestibule.clients.web]\npublic = true\n\
            grants = \"password refresh_token\"\nscopes = [\"a\", \"b\"]";
        let settings = Settings::read(&development(toml)).unwrap();
        assert_eq!(settings.clients["web"].grants, ["password", "refresh_token"]);
        assert_eq!(settings.clients["web"].scopes, ["a", "b"]);
        let wrong = development("[default.vestibule.clients.web]\ngrants = 1\nscopes = []");
        let error = Settings::read(&wrong).unwrap_err().to_string();
        assert!(error.contains("expected a list of words"), "{error}");
    }

    #[test]
    fn r57_release_profile_lists_all_missing_settings() {
        let error = Settings::read(&layers(Figment::new().select("release")).unwrap()).unwrap_err();
        let error = error.to_string();
        for needed in ["VESTIBULE_PUBLIC_URL", "VESTIBULE_MAIL__TRANSPORT", "clients.<id>"] {
            assert!(error.contains(needed), "{error}");
        }
    }

    #[test]
    fn r41_release_profile_refuses_costs_below_the_minimum() {
        let toml = "[default.vestibule]\npublic_url = \"https://a.example\"\n\
            [default.vestibule.mail]\ntransport = \"log\"\n\
            [default.vestibule.clients.web]\npublic = true\ngrants = [\"password\"]\nscopes = []\n";
        let release = |more: &str| {
            let toml = Toml::string(&format!("{toml}{more}")).nested();
            Settings::read(&layers(Figment::new().merge(toml).select("release")).unwrap())
        };
        assert!(release("").is_ok());
        let weak = release("[default.vestibule.hashing]\nmemory_kib = 1024\n").unwrap_err();
        assert!(weak.to_string().contains("at least 19456"));
    }

    #[test]
    fn r55_r57_errors_debug_and_report_contain_no_secrets() {
        let toml = "[default.vestibule.mail]\nsmtp_url = \"smtp://me:hunter2@mail.example\"\n\
            [default.vestibule.clients.web]\nsecret_sha256 = \"hunter2\"\ngrants = []\nscopes = []\n\
            [default.databases.vestibule]\nurl = \"postgres://me:hunter2@db.example/v\"\n";
        let figment = development(toml);
        assert!(!format!("{:?}", Settings::read(&figment).unwrap()).contains("hunter2"));
        let report = report(&figment);
        assert!(!report.contains("hunter2"), "{report}");
        assert!(report.contains("postgres://me:***@db.example/v"), "{report}");
        let wrong = development("[default.vestibule.mail]\nsmtp_url = [\"hunter2\"]");
        assert!(!Settings::read(&wrong).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn r55_f3_report_shows_values_of_known_keys_only() {
        let report = report(&development(
            "[default.vestibule]\nsmpt = { url = \"hunter2\", list = [\"hunter2\"] }\nmail = \"hunter2\"\n\
             [default.vestibule.clients.\"a.b\"]\nsecret = \"hunter2\"\ngrants = [\"password\"]\n\
             scopes = \"https://me:hunter2@a.example\"\nintrospects = { x = \"hunter2\" }\n\
             [default.vestibule.messages]\ndirectory = \"here\"\n",
        ));
        assert!(!report.contains("hunter2"), "{report}");
        for shown in ["[\"password\"]", "https://***@a.example", "\"here\"", "\"15m\""] {
            assert!(report.contains(shown), "{shown}\n{report}");
        }
    }

    #[test]
    fn r57_report_knows_every_setting() {
        let known = known();
        for key in ["public_url", "trusted_proxies", "default_client", "name"] {
            assert!(known.get(key).is_some(), "{key}: {known}");
        }
        let client = &known["clients"][ANY];
        assert!(client.get("access_ttl").is_some() && client.get("secret").is_none(), "{client}");
        assert!(known["mail"]["from"].get("address").is_some(), "{known}");
    }
}
