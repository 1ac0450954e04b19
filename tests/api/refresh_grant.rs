//! Tests of the refresh grant (RFC 6749 §6) and of the predecessor rule of the HTTP contract: R22,
//! R23, R25 to R27.

use std::time::Duration;

use rocket::futures::future::join_all;
use rocket::http::{ContentType, Status};
use vestibule::storage::StoreError;
use vestibule::testing::{BEGINNING, TestApp};

use crate::support;
use crate::support::{
    ADA, Tokens, assert_refresh_refused, basic, error_of, form, invalid, opens, post_form_with,
    refresh, refresh_scope, refreshed, sign_in, sign_in_fields, tokens, warnings,
};

const FULL_SCOPE: &str = "account.read account.write";
/// Settings under which a token that was spent by mistake ends its session: the grace is 0 s.
const STRICT: &str = "[default.vestibule.tokens]\nreuse_grace = \"0s\"";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Ada signed in through `web`.
async fn signed_in() -> (TestApp, Tokens) {
    signed_in_with("").await
}

async fn signed_in_with(toml: &str) -> (TestApp, Tokens) {
    let app = support::configured(toml).await;
    app.account(ADA).await;
    let tokens = sign_in(&app).await;
    (app, tokens)
}

/// Uses an access token and waits until the use is recorded.
async fn use_access_token(app: &TestApp, access_token: &str) {
    assert!(opens(app, access_token).await);
    app.settle().await;
}

async fn revoke(app: &TestApp, token: &str) {
    let answer = app.post_form("/oauth/revoke", &[("client_id", "web"), ("token", token)]).await;
    assert_eq!(answer.status(), Status::Ok);
}

/// Checks that no token of the session works, and that the owner was warned once.
async fn assert_stolen(app: &TestApp, pair: &Tokens) {
    assert!(!opens(app, &pair.access).await);
    assert_refresh_refused(app, &pair.refresh).await;
    assert_eq!(warnings(app).await, 1);
}

/// Checks that the session continues with this pair, and that no warning was sent.
async fn assert_unharmed(app: &TestApp, pair: &Tokens) {
    assert!(opens(app, &pair.access).await);
    refreshed(app, &pair.refresh).await;
    assert_eq!(warnings(app).await, 0);
}

#[rocket::async_test]
async fn r22_every_refresh_issues_a_new_pair() {
    let (app, mut pair) = signed_in().await;
    let mut seen = vec![pair.clone()];
    for _ in 0..5 {
        pair = refreshed(&app, &pair.refresh).await;
        assert_eq!((pair.expires_in, pair.scope.as_str()), (900, FULL_SCOPE));
        assert!(seen.iter().all(|old| old.access != pair.access && old.refresh != pair.refresh));
        seen.push(pair.clone());
    }
    assert!(opens(&app, &pair.access).await);
}

#[rocket::async_test]
async fn preceding_access_token_lives_until_its_own_expiry() {
    let (app, first) = signed_in().await;
    app.advance(SECOND * 600);
    let second = refreshed(&app, &first.refresh).await;
    assert!(opens(&app, &first.access).await && opens(&app, &second.access).await);
    app.advance(SECOND * 300);
    assert!(!opens(&app, &first.access).await && opens(&app, &second.access).await);

    let third = refreshed(&app, &second.refresh).await;
    refreshed(&app, &third.refresh).await;
    assert!(!opens(&app, &second.access).await, "only the immediate predecessor lives on");
    assert!(opens(&app, &third.access).await);
}

#[rocket::async_test]
async fn r22_a_narrower_scope_narrows_the_access_token_only() {
    let (app, first) = signed_in().await;
    let narrow = tokens(refresh_scope(&app, &first.refresh, "account.write").await).await;
    assert_eq!(narrow.scope, "account.write");
    let me = app.client.get("/v1/me").header(crate::support::bearer(&narrow.access));
    assert_eq!(me.dispatch().await.status(), Status::Forbidden);

    let full = refreshed(&app, &narrow.refresh).await;
    assert_eq!(full.scope, FULL_SCOPE, "the session has kept its scope");
    let asked = tokens(refresh_scope(&app, &full.refresh, FULL_SCOPE).await).await;
    assert_eq!(asked.scope, FULL_SCOPE);
}

#[rocket::async_test]
async fn r22_a_wider_scope_is_refused_and_spends_nothing() {
    let app = support::configured(STRICT).await;
    app.account(ADA).await;
    let mut fields = sign_in_fields();
    fields.push(("scope", "account.read"));
    let first = tokens(app.token(&fields).await).await;
    for scope in ["account.read account.write", "account.write", "unknown", "a\"b", " "] {
        let answer = refresh_scope(&app, &first.refresh, scope).await;
        assert_eq!(error_of(answer).await, invalid("invalid_scope"), "{scope}");
    }
    let second = refreshed(&app, &first.refresh).await;
    assert_eq!(second.scope, "account.read");
    // a spent token with a wider scope does nothing either, at any age
    let third = refreshed(&app, &second.refresh).await;
    app.advance(DAY);
    let answer = refresh_scope(&app, &first.refresh, FULL_SCOPE).await;
    assert_eq!(error_of(answer).await, invalid("invalid_scope"));
    refreshed(&app, &third.refresh).await;
    assert_eq!(warnings(&app).await, 0);
}

#[rocket::async_test]
async fn r23_repeated_refresh_gets_the_same_pair_with_its_remaining_lifetime() {
    let (app, first) = signed_in().await;
    app.advance(SECOND * 60);
    let second = refreshed(&app, &first.refresh).await;
    assert_eq!(second.expires_in, 900);
    app.advance(Duration::from_millis(100_500));
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again, Tokens { expires_in: 799, ..second.clone() });
    assert_unharmed(&app, &second).await;
}

#[rocket::async_test]
async fn r23_unused_pair_is_given_again_after_twelve_hours() {
    let (app, first) = signed_in().await;
    let lost = refreshed(&app, &first.refresh).await;
    app.advance(SECOND * 3_600 * 12);
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again.refresh, lost.refresh, "one lineage");
    assert_ne!(again.access, lost.access, "the old access token has expired");
    assert_eq!(again.expires_in, 900);
    assert!(!opens(&app, &lost.access).await);
    assert_unharmed(&app, &again).await;
}

#[rocket::async_test]
async fn r23_unused_pair_is_given_again_until_the_session_idles_out() {
    let (app, first) = signed_in().await;
    let lost = refreshed(&app, &first.refresh).await;
    app.advance(DAY * 14 - SECOND * 300);
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again.refresh, lost.refresh);
    assert_eq!(again.expires_in, 300, "a repeat does not extend the session");
    app.advance(SECOND * 300);
    assert_refresh_refused(&app, &first.refresh).await;
    assert_refresh_refused(&app, &lost.refresh).await;
    assert_eq!(warnings(&app).await, 0, "the session ended by idling");
}

#[rocket::async_test]
async fn r23_predecessor_works_until_the_grace_after_first_use_ends() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    app.advance(SECOND * 3_600);
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again.refresh, second.refresh);
    let second = again;
    use_access_token(&app, &second.access).await;
    app.advance(Duration::from_millis(29_999));
    assert_eq!(refreshed(&app, &first.refresh).await.access, second.access);
    // further uses do not restart the grace
    use_access_token(&app, &second.access).await;
    app.advance(Duration::from_millis(1));
    assert_refresh_refused(&app, &first.refresh).await;
    assert_stolen(&app, &second).await;
}

#[rocket::async_test]
async fn r23_use_of_the_old_access_token_does_not_start_the_grace() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    // late enough that the session's use is recorded
    app.advance(SECOND * 60);
    use_access_token(&app, &first.access).await;
    app.advance(SECOND * 800);
    assert_eq!(refreshed(&app, &first.refresh).await.access, second.access);
    assert_unharmed(&app, &second).await;
}

#[rocket::async_test]
async fn r23_grace_starts_at_the_use_and_not_at_its_recording() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    assert!(opens(&app, &second.access).await);
    // the record has the instant of the use, not of the writing
    app.advance(SECOND * 29);
    app.settle().await;
    assert_eq!(refreshed(&app, &first.refresh).await.access, second.access);
    app.advance(SECOND);
    assert_refresh_refused(&app, &first.refresh).await;
    assert_stolen(&app, &second).await;
}

#[rocket::async_test]
async fn r23_predecessor_of_a_spent_successor_is_a_late_retry_within_the_grace() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    app.advance(Duration::from_millis(29_999));
    assert_refresh_refused(&app, &first.refresh).await;
    assert_eq!(refreshed(&app, &second.refresh).await.refresh, third.refresh);
    assert_unharmed(&app, &third).await;
}

#[rocket::async_test]
async fn r23_older_token_after_the_grace_ends_the_session_as_stolen() {
    for generations in [2, 3, 6] {
        let (app, first) = signed_in().await;
        let mut pair = first.clone();
        for _ in 0..generations {
            pair = refreshed(&app, &pair.refresh).await;
        }
        app.advance(SECOND * 30);
        assert!(opens(&app, &pair.access).await);
        assert_refresh_refused(&app, &first.refresh).await;
        assert_stolen(&app, &pair).await;
        // the same token, presented again a day later
        app.advance(DAY);
        assert_refresh_refused(&app, &first.refresh).await;
        assert_stolen(&app, &pair).await;
    }
}

#[rocket::async_test]
async fn r23_grace_for_late_retries_counts_from_the_last_rotation() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    app.advance(DAY);
    let third = refreshed(&app, &second.refresh).await;
    app.advance(SECOND * 29);
    assert_refresh_refused(&app, &first.refresh).await;
    assert_unharmed(&app, &third).await;
}

#[rocket::async_test]
async fn r23_theft_ends_one_session_and_sends_a_warning() {
    let (app, first) = signed_in().await;
    let elsewhere = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    refreshed(&app, &second.refresh).await;
    app.advance(SECOND * 30);
    assert_refresh_refused(&app, &first.refresh).await;
    assert!(opens(&app, &elsewhere.access).await);
    refreshed(&app, &elsewhere.refresh).await;
    let letter = app.last_letter_to(ADA).await;
    assert_eq!(letter.name, "session-ended");
    assert!(letter.text.contains("web"), "{}", letter.text);
    assert!(!letter.text.contains("vrt_") && letter.link.is_none());
}

#[rocket::async_test]
async fn r23_concurrent_stolen_tokens_cause_one_letter() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    app.advance(SECOND * 30);
    join_all((0..32).map(|_| assert_refresh_refused(&app, &first.refresh))).await;
    assert_stolen(&app, &third).await;
}

#[rocket::async_test]
async fn r23_without_grace_a_refresh_token_is_strictly_single_use() {
    let (app, first) = signed_in_with(STRICT).await;
    let second = refreshed(&app, &first.refresh).await;
    assert_refresh_refused(&app, &first.refresh).await;
    assert_stolen(&app, &second).await;
}

#[rocket::async_test]
async fn r23_grace_is_configurable() {
    let (app, first) = signed_in_with("[default.vestibule.tokens]\nreuse_grace = \"2m\"").await;
    let second = refreshed(&app, &first.refresh).await;
    use_access_token(&app, &second.access).await;
    app.advance(SECOND * 119);
    assert_eq!(refreshed(&app, &first.refresh).await.access, second.access);
    app.advance(SECOND);
    assert_refresh_refused(&app, &first.refresh).await;
    assert_stolen(&app, &second).await;
}

#[rocket::async_test]
async fn r23_repeated_refresh_with_another_scope_gets_its_own_access_token() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let narrow = tokens(refresh_scope(&app, &first.refresh, "account.read").await).await;
    assert_eq!(narrow.refresh, second.refresh, "one lineage");
    assert_ne!(narrow.access, second.access);
    assert_eq!(narrow.scope, "account.read");
    assert!(opens(&app, &second.access).await && opens(&app, &narrow.access).await);
    // each client asks again and gets the same scope and pair as before
    assert_eq!(refreshed(&app, &first.refresh).await, second);
    let again = tokens(refresh_scope(&app, &first.refresh, "account.read").await).await;
    assert_eq!(again, narrow);
    assert_unharmed(&app, &second).await;
}

#[rocket::async_test]
async fn revoked_access_token_is_not_given_again_by_a_repeat() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    revoke(&app, &second.access).await;
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(again.access, second.access);
    assert!(opens(&app, &again.access).await);
    assert!(!opens(&app, &second.access).await);
    // nor does a repeat with another scope revive the token
    tokens(refresh_scope(&app, &first.refresh, "account.read").await).await;
    refreshed(&app, &first.refresh).await;
    assert!(!opens(&app, &second.access).await);
}

#[rocket::async_test]
async fn r25_refresh_token_of_another_client_is_refused_and_not_spent() {
    let (app, first) = signed_in_with(STRICT).await;
    let as_shop = async |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let header = basic("shop", "shop secret");
        error_of(post_form_with(&app, "/oauth/token", header, &fields).await).await
    };
    assert_eq!(as_shop(&first.refresh).await, invalid("invalid_grant"));
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    // another client's attempt does not count, even with a token that would be theft from its own
    // client
    app.advance(DAY);
    assert_eq!(as_shop(&first.refresh).await, invalid("invalid_grant"));
    assert_eq!(warnings(&app).await, 0);
    refreshed(&app, &third.refresh).await;
}

#[rocket::async_test]
async fn r25_access_and_refresh_tokens_are_not_interchangeable() {
    let (app, first) = signed_in().await;
    for token in [
        first.access.clone(),
        first.access.replace("vat_", "vrt_"),
        first.refresh.replace("vrt_", ""),
        first.refresh.to_uppercase(),
        format!("{} ", first.refresh),
        format!("{}=", first.refresh),
        format!("{0}{0}", first.refresh),
        "vrt_".to_owned(),
        "x".repeat(20_000),
    ] {
        assert_refresh_refused(&app, &token).await;
    }
    assert!(!opens(&app, &first.refresh).await);
    assert!(!opens(&app, &first.refresh.replace("vrt_", "vat_")).await);
    assert_unharmed(&app, &first).await;
}

#[rocket::async_test]
async fn damaged_refresh_token_ends_no_session() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    app.advance(SECOND * 60);
    for position in (4..first.refresh.len()).step_by(7) {
        let mut damaged = first.refresh.clone().into_bytes();
        damaged[position] = if damaged[position] == b'A' { b'B' } else { b'A' };
        assert_refresh_refused(&app, std::str::from_utf8(&damaged).unwrap()).await;
    }
    // cut short, as by a log or a terminal
    assert_refresh_refused(&app, &first.refresh[..60]).await;
    assert_unharmed(&app, &second).await;
}

#[rocket::async_test]
async fn forged_refresh_token_ends_no_session() {
    use vestibule::model::{RefreshToken, Secret, SessionTag};
    let (app, first) = signed_in().await;
    let other = sign_in(&app).await;
    app.advance(SECOND * 60);
    let (mine, theirs) = (
        RefreshToken::parse(&first.refresh).unwrap(),
        RefreshToken::parse(&other.refresh).unwrap(),
    );
    for forged in [
        // another session's id with the caller's own tag and secret
        RefreshToken { session: theirs.session, ..mine.clone() },
        RefreshToken { session: theirs.session, secret: theirs.secret.clone(), tag: mine.tag },
        RefreshToken { tag: SessionTag::new([0; 16]), ..theirs.clone() },
        RefreshToken { secret: Secret::new([0; 32]), tag: mine.tag, session: theirs.session },
    ] {
        assert_refresh_refused(&app, &forged.reveal()).await;
    }
    refreshed(&app, &first.refresh).await;
    assert_unharmed(&app, &other).await;
}

#[rocket::async_test]
async fn r26_idle_session_ends() {
    let (app, first) = signed_in().await;
    app.advance(DAY * 14 - Duration::from_millis(1));
    let second = refreshed(&app, &first.refresh).await;
    app.advance(DAY * 14);
    assert_refresh_refused(&app, &second.refresh).await;
    assert!(!opens(&app, &second.access).await);
    assert_eq!(warnings(&app).await, 0);
}

#[rocket::async_test]
async fn r26_use_of_the_access_token_does_not_extend_the_session() {
    let (app, first) = signed_in_with("[default.vestibule.tokens]\naccess_ttl = \"30d\"").await;
    assert_eq!(first.expires_in, 14 * 86_400, "no longer than the session");
    app.advance(DAY * 13);
    use_access_token(&app, &first.access).await;
    app.advance(DAY);
    assert!(!opens(&app, &first.access).await);
    assert_refresh_refused(&app, &first.refresh).await;
}

#[rocket::async_test]
async fn r26_session_ends_after_its_lifetime_despite_refreshes() {
    let (app, mut pair) = signed_in().await;
    for _ in 0..8 {
        app.advance(DAY * 11);
        pair = refreshed(&app, &pair.refresh).await;
        assert_eq!(pair.expires_in, 900);
    }
    app.advance(DAY * 2 - SECOND * 300);
    pair = refreshed(&app, &pair.refresh).await;
    assert_eq!(pair.expires_in, 300);
    app.advance(SECOND * 300 - Duration::from_millis(1));
    assert!(opens(&app, &pair.access).await);
    app.advance(Duration::from_millis(1));
    assert!(!opens(&app, &pair.access).await);
    assert_refresh_refused(&app, &pair.refresh).await;
}

#[rocket::async_test]
async fn r26_clock_step_back_revives_no_token() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    let (out, taken) = (sign_in(&app).await, sign_in(&app).await);
    revoke(&app, &third.access).await;
    revoke(&app, &out.refresh).await;
    let heir = refreshed(&app, &taken.refresh).await;
    let heir = refreshed(&app, &heir.refresh).await;
    app.advance(SECOND * 30);
    assert_refresh_refused(&app, &taken.refresh).await;

    let look = async || {
        assert_refresh_refused(&app, &first.refresh).await;
        for access in [&third.access, &out.access, &heir.access] {
            assert!(!opens(&app, access).await);
        }
        for refresh in [&out.refresh, &taken.refresh, &heir.refresh] {
            assert_refresh_refused(&app, refresh).await;
        }
    };
    for back in [SECOND, SECOND * 30, SECOND * 3_600, DAY * 100] {
        app.step_back(back);
        look().await;
        app.purge().await;
        app.advance(back - Duration::from_millis(1));
        look().await;
    }
    app.advance(SECOND);
    assert_eq!(warnings(&app).await, 1, "only the earlier theft has a warning");
}

#[rocket::async_test]
async fn r26_clock_step_back_makes_no_refresh_a_theft() {
    let (app, first) = signed_in().await;
    app.step_back(SECOND * 3_600);
    let second = refreshed(&app, &first.refresh).await;
    use_access_token(&app, &second.access).await;
    assert_eq!(refreshed(&app, &first.refresh).await.refresh, second.refresh);
    assert_unharmed(&app, &second).await;
}

#[rocket::async_test]
async fn s15_spent_predecessor_is_refused_after_a_clock_step_back() {
    const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);
    for spent_for in [SECOND * 30, SECOND * 600, HALF_AN_HOUR - SECOND * 61] {
        let (app, first) = signed_in().await;
        let second = refreshed(&app, &first.refresh).await;
        use_access_token(&app, &second.access).await;
        app.advance(spent_for);
        app.step_back(HALF_AN_HOUR);
        assert_refresh_refused(&app, &first.refresh).await;
        // the service does not know for how long the token was spent: no theft is proven
        assert_unharmed(&app, &second).await;
    }
    // the session was seen in use long after the predecessor was spent: that proves the theft
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    use_access_token(&app, &second.access).await;
    app.advance(SECOND * 600);
    use_access_token(&app, &second.access).await;
    for back in [SECOND * 570, SECOND * 600, SECOND * 601] {
        app.step_back(back);
        assert_refresh_refused(&app, &first.refresh).await;
        app.advance(back);
    }
    assert_eq!(warnings(&app).await, 1);
}

#[rocket::async_test]
async fn s15_expired_access_token_stays_expired_after_a_clock_step_back() {
    let (app, first) = signed_in().await;
    app.advance(SECOND * 901);
    assert!(!opens(&app, &first.access).await);
    let second = refreshed(&app, &first.refresh).await;
    app.step_back(SECOND * 120);
    assert!(!opens(&app, &first.access).await, "the session was refreshed after its end");
    assert!(opens(&app, &second.access).await);
    app.advance(SECOND * 120);
    assert!(opens(&app, &second.access).await);
}

#[rocket::async_test]
async fn r27_disabling_the_account_ends_all_tokens_at_once() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let id = app.sign_in(ADA).await.account_id().await;
    let disabled: Result<bool, StoreError> =
        app.store().write(async |tx| tx.disable_account(id, BEGINNING).await).await;
    assert!(disabled.unwrap());
    for token in [&first.access, &second.access] {
        assert!(!opens(&app, token).await);
    }
    for token in [&first.refresh, &second.refresh] {
        assert_refresh_refused(&app, token).await;
    }
    assert_eq!(warnings(&app).await, 0);
}

#[rocket::async_test]
async fn r27_refresh_that_races_sign_out_everywhere_leaves_no_working_token() {
    let (app, first) = signed_in().await;
    let elsewhere = app.sign_in(ADA).await;
    let refreshes = (0..8).map(|_| async {
        let answer = refresh(&app, &first.refresh).await;
        (answer.status() == Status::Ok).then_some(answer)
    });
    let out = elsewhere.delete("/v1/me/sessions").dispatch();
    let (answers, out) = tokio::join!(join_all(refreshes), out);
    assert_eq!(out.status(), Status::NoContent);
    for answer in answers.into_iter().flatten() {
        let pair = tokens(answer).await;
        assert!(!opens(&app, &pair.access).await);
        assert_refresh_refused(&app, &pair.refresh).await;
    }
}

#[rocket::async_test]
async fn sessions_of_a_removed_client_are_refused() {
    let database = support::database().await;
    let extra = "[default.vestibule.clients.app]\npublic = true\n\
                 grants = [\"password\", \"refresh_token\"]\nscopes = [\"account.read\"]";
    let app = TestApp::on_database(&database.url, extra).await;
    app.account(ADA).await;
    let mut fields = sign_in_fields();
    fields[1] = ("client_id", "app");
    let pair = tokens(app.token(&fields).await).await;
    assert!(opens(&app, &pair.access).await);
    drop(app);
    let app = TestApp::on_database(&database.url, "").await;
    assert!(!opens(&app, &pair.access).await);
    let fields =
        [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", &pair.refresh)];
    assert_eq!(error_of(app.token(&fields).await).await.1, "invalid_client");
}

#[rocket::async_test]
async fn r19_reduced_client_scope_applies_at_the_next_refresh() {
    let database = support::database().await;
    let web = |scopes: &str| format!("[default.vestibule.clients.web]\nscopes = \"{scopes}\"");
    let app = TestApp::on_database(&database.url, &web("a b c")).await;
    app.account(ADA).await;
    let first = sign_in(&app).await;
    assert_eq!(first.scope, "a b c");
    drop(app);

    let app = TestApp::on_database(&database.url, &web("b c d")).await;
    let answer = refresh_scope(&app, &first.refresh, "a").await;
    assert_eq!(error_of(answer).await, invalid("invalid_scope"));
    let answer = refresh_scope(&app, &first.refresh, "d").await;
    assert_eq!(
        error_of(answer).await,
        invalid("invalid_scope"),
        "a scope that the sign-in did not have"
    );
    let second = refreshed(&app, &first.refresh).await;
    assert_eq!(second.scope, "b c");
    drop(app);

    // no scope is left, and the refused refresh does not spend the session
    let app = TestApp::on_database(&database.url, &web("d")).await;
    assert_refresh_refused(&app, &second.refresh).await;
    drop(app);
    let app = TestApp::on_database(&database.url, &web("a b c")).await;
    assert_eq!(refreshed(&app, &second.refresh).await.scope, "a b c");
}

#[rocket::async_test]
async fn r28_revoked_and_spent_tokens_survive_a_restart() {
    let database = support::database().await;
    let app = TestApp::on_database(&database.url, "").await;
    app.account(ADA).await;
    let (first, out) = (sign_in(&app).await, sign_in(&app).await);
    let second = refreshed(&app, &first.refresh).await;
    revoke(&app, &second.access).await;
    revoke(&app, &out.refresh).await;
    drop(app);

    let app = TestApp::on_database(&database.url, "").await;
    assert!(!opens(&app, &second.access).await && !opens(&app, &out.access).await);
    assert_refresh_refused(&app, &out.refresh).await;
    let again = refreshed(&app, &first.refresh).await;
    assert_eq!(again.refresh, second.refresh, "a repeat is known across restarts");
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("refresh_token", second.refresh.as_str()),
    ];
    tokens(request.body(form(&fields)).dispatch().await).await;
}
