//! Tests of a provider that misbehaves, of its settings, and of what the log has.

use grantcore_testing_provider::{ALICE, Algorithm, Fault, Place, Provider};
use reqwest::header::{RETRY_AFTER, SET_COOKIE};
use serde_json::json;

use super::text;
use crate::support::commands::{run, with_file};
use crate::support::program::Program;
use crate::support::provider::{
    EVERYBODY, finish, flags, login_page, press, request, sign_in, start, target, to_callback,
};
use crate::support::{Browser, param};

/// Every ID token and response that is wrong signs nobody in, and a right one does afterwards.
#[tokio::test]
async fn a_wrong_answer_of_the_provider_signs_nobody_in() {
    let provider = Provider::start(Algorithm::P256).await;
    let server = start(&provider, EVERYBODY).await;
    let url = request(server.issuer(), &[]);
    for (fault, status) in [
        (Fault::WrongNonce, 403),
        (Fault::NoNonce, 403),
        (Fault::WrongAudience, 403),
        (Fault::TwoAudiences, 403),
        (Fault::WrongIssuer, 403),
        (Fault::Expired, 403),
        (Fault::EmptySubject, 403),
        (Fault::LongSubject, 403),
        (Fault::NoSubject, 403),
        (Fault::NoExpiry, 403),
        (Fault::IssuedAhead, 403),
        (Fault::NotYetValid, 403),
        (Fault::OddNotBefore, 403),
        (Fault::Unsigned, 403),
        (Fault::SignedWithSecret, 403),
        (Fault::OtherKey, 403),
        (Fault::UnknownKey, 403),
        (Fault::NoIdToken, 403),
        (Fault::ResponseOfOther, 403),
        (Fault::ResponseWithoutIssuer, 403),
        (Fault::ServerError, 502),
        (Fault::RefusesClient, 502),
        (Fault::Fails(Place::Token), 503),
        (Fault::IsLarge(Place::Token), 503),
        (Fault::Redirects(Place::Token), 503),
    ] {
        let browser = Browser::new("nobody");
        provider.set_fault(fault);
        let refused = finish(&browser, &url).await;
        assert_eq!(refused.status(), status, "{fault:?}");
        assert!(!refused.headers().contains_key(SET_COOKIE), "{fault:?}");
        let page = text(refused).await;
        assert!(page.contains("Try again") && page.contains("Reference: "), "{fault:?}: {page}");
        assert_eq!(page.contains("cannot be reached"), status == 503, "{fault:?}: {page}");
        provider.clear_faults();
    }
    assert!(sign_in(&Browser::new("nobody"), &url).await.contains("Allow access"));
    let document = provider.calls(Place::Document);
    assert_eq!(document, 2, "an unknown key made the documents be read once more");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_cannot_be_used_is_answered_with_503_and_a_way_on() {
    for fault in [
        Fault::Fails(Place::Document),
        Fault::IsLarge(Place::Document),
        Fault::Redirects(Place::Document),
        Fault::Fails(Place::Keys),
        Fault::IsLarge(Place::Keys),
        Fault::Redirects(Place::Keys),
        Fault::DocumentOfOther,
        Fault::WeakAlgorithms,
    ] {
        let provider = Provider::start(Algorithm::Ed25519).await;
        let server = start(&provider, EVERYBODY).await;
        provider.set_fault(fault);
        let browser = Browser::new("nobody");
        for _ in 0..2 {
            let (login, page) = login_page(&browser, &request(server.issuer(), &[])).await;
            let answer = press(&browser, &login, &page).await;
            assert_eq!(answer.status(), 503, "{fault:?}");
            let page = text(answer).await;
            assert!(page.contains("Example ID cannot be reached now"), "{page}");
            assert!(page.contains("Try again</a>"), "{page}");
        }
        assert_eq!(provider.calls(Place::Document), 1, "{fault:?}: the failure is remembered");
        server.stop().await.unwrap();
    }
}

/// The two wait at the same time, each for a time-out of the server.
#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let hangs = async |place| {
        let provider = Provider::start(Algorithm::Ed25519).await;
        let server = start(&provider, EVERYBODY).await;
        let browser = Browser::new("nobody");
        let url = request(server.issuer(), &[]);
        let answer = if place == Place::Token {
            let callback = to_callback(&browser, &url).await;
            provider.set_fault(Fault::Hangs(place));
            browser.http.get(callback).send().await.unwrap()
        } else {
            provider.set_fault(Fault::Hangs(place));
            let (login, page) = login_page(&browser, &url).await;
            press(&browser, &login, &page).await
        };
        assert_eq!(answer.status(), 503, "{place:?}");
        server.stop().await.unwrap();
    };
    tokio::join!(hangs(Place::Document), hangs(Place::Token));
}

/// A provider that is gone does not stop a password, and its new key needs no restart.
#[tokio::test]
async fn a_provider_that_changes_or_goes_away_stops_nothing_else() {
    let provider = Provider::start(Algorithm::P256).await;
    let accounts = crate::support::accounts::file();
    let path = accounts.path().to_str().unwrap();
    let server = start(&provider, &["--provider-everybody", "--accounts", path]).await;
    let url = request(server.issuer(), &[]);
    assert!(sign_in(&Browser::new("nobody"), &url).await.contains("Allow access"));
    provider.rotate_key();
    assert!(sign_in(&Browser::new("nobody"), &url).await.contains("Allow access"));
    assert_eq!(provider.calls(Place::Keys), 2);
    let browser = Browser::new("nobody");
    let callback = to_callback(&browser, &url).await;
    provider.stop().await;
    let down = browser.http.get(callback).send().await.unwrap();
    assert_eq!(down.status(), 503);
    let (login, page) = login_page(&browser, &url).await;
    let password = super::nth_form(&page, 1);
    let fields = [("username", "alice"), ("password", "alice")];
    let onward = target(&super::post(&browser, &login, &password, &fields).await);
    let page = text(browser.http.get(onward).send().await.unwrap()).await;
    assert!(page.contains("Allow access"));
    server.stop().await.unwrap();
}

/// Each failure makes the server call the provider, so failures are limited as wrong passwords are.
#[tokio::test]
async fn failed_sign_ins_of_a_source_are_limited() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let browser = Browser::new("nobody");
    let url = request(server.issuer(), &[]);
    provider.set_fault(Fault::WrongNonce);
    for _ in 0..30 {
        assert_eq!(finish(&browser, &url).await.status(), 403);
    }
    let limited = finish(&browser, &url).await;
    assert_eq!(limited.status(), 429);
    assert!(limited.headers().contains_key(RETRY_AFTER));
    assert_eq!(provider.calls(Place::Token), 30);
    server.stop().await.unwrap();
}

/// The log names the cause under the reference of the page, and has neither codes, tokens nor
/// names.
#[tokio::test]
async fn the_log_has_the_cause_of_each_failure_and_nothing_about_the_user() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    provider.set_claims(json!({
        "email": "alice@example.com", "email_verified": true, "preferred_username": "ally-wonder",
    }));
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut arguments = flags(&provider);
    let own = ["--listen=127.0.0.1:0", "--database=memory:", "--provider-domains=example.com"];
    arguments.extend(own.map(str::to_owned));
    arguments.push("--log=info".to_owned());
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let program = Program::start(&arguments, directory.path(), file).unwrap();
    let url = request(&program.issuer, &[]);
    let mut secrets = Vec::new();
    let mut references = Vec::new();
    for (fault, cause) in [
        (Fault::WrongNonce, "nonce mismatch"),
        (Fault::WrongAudience, "Invalid audiences"),
        (Fault::RefusesClient, "invalid_client"),
        (Fault::Fails(Place::Token), "the provider cannot be used now"),
    ] {
        provider.set_fault(fault);
        let browser = Browser::new("nobody");
        let callback = to_callback(&browser, &url).await;
        secrets.extend([param(&callback, "state").unwrap(), param(&callback, "code").unwrap()]);
        let page = text(browser.http.get(callback).send().await.unwrap()).await;
        let reference = page.split("Reference: ").nth(1).unwrap();
        references.push((reference.split_whitespace().next().unwrap().to_owned(), cause));
    }
    provider.clear_faults();
    assert!(sign_in(&Browser::new("nobody"), &url).await.contains("Allow access"));
    provider.set_claims(json!({ "email": "alice@example.net", "email_verified": true }));
    assert_eq!(finish(&Browser::new("nobody"), &url).await.status(), 403);
    assert!(program.stop());
    let log = std::fs::read_to_string(log).unwrap();
    for (reference, cause) in references {
        let line = log.lines().find(|line| line.contains(&reference)).unwrap();
        assert!(line.contains(cause), "{line}");
    }
    let refused = log.lines().find(|line| line.contains("--provider-domains")).unwrap();
    assert!(refused.contains(ALICE), "{refused}");
    assert!(log.contains("a user of the provider signed in") && log.contains("oidc:"), "{log}");
    secrets.extend(["alice@", "ally-wonder", "of-the-provider", "eyJ"].map(str::to_owned));
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_checks_the_provider_offline_and_online() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let issuer = provider.issuer();
    let directory = with_file(&format!(
        "listen = '127.0.0.1:8080'\nprovider_issuer = '{issuer}'\nprovider_client_id = 'x'\n\
         provider_client_secret = 'env:HOME'\nprovider_everybody = true\n\
         [[resources]]\nurl = 'https://api.example'"
    ));
    let check = async |more: &'static [&'static str]| {
        let path = directory.path().to_owned();
        let arguments = [&["check-config", "--config", "c.toml"], more].concat();
        tokio::task::spawn_blocking(move || run(&path, &arguments)).await.unwrap()
    };
    let offline = check(&[]).await;
    assert!(offline.is_success, "{}", offline.errors);
    assert!(offline.output.contains(&format!("provider   {issuer}")), "{}", offline.output);
    assert!(offline.output.contains("http://127.0.0.1:8080/login/callback"), "{}", offline.output);
    assert!(offline.output.contains("accounts   those of the provider"), "{}", offline.output);
    assert_eq!(provider.calls(Place::Document), 0);
    let online = check(&["--online"]).await;
    assert!(online.output.contains(&format!("{issuer}/authorize")), "{}", online.output);
    provider.set_fault(Fault::DocumentOfOther);
    let wrong = check(&["--online"]).await;
    assert!(
        !wrong.is_success && wrong.errors.contains("https://other.example"),
        "{}",
        wrong.errors
    );
}

#[test]
fn settings_of_a_provider_that_cannot_work_are_refused() {
    let whole = "provider_issuer = 'https://idp.example'\nprovider_client_id = 'x'\n\
                 provider_client_secret = 'env:HOME'\n";
    for (text, expected) in [
        ("provider_client_id = 'x'", vec!["--provider-client-id needs --provider-issuer"]),
        (
            "provider_issuer = 'https://idp.example'\nprovider_everybody = true",
            vec!["needs --provider-client-id", "needs --provider-client-secret"],
        ),
        (whole, vec!["name who may sign in"]),
        (
            &format!("{whole}provider_everybody = true\nprovider_domains = ['a.example']"),
            vec!["--provider-everybody contradicts --provider-domains"],
        ),
        (
            &format!("{whole}provider_everybody = true\nprovider_authority = 'none.pem'"),
            vec!["--provider-authority ", "none.pem"],
        ),
        ("provider_issuer = 'http://idp.example'", vec!["provider_issuer: ", "must be https"]),
        ("provider_claims = ['staff']", vec!["NAME=VALUE"]),
    ] {
        let text = format!("{text}\n[[resources]]\nurl = 'https://api.example'");
        let directory = with_file(&text);
        let refused = run(directory.path(), &["check-config", "--config", "c.toml"]);
        assert!(!refused.is_success, "{text}");
        for part in expected {
            assert!(refused.errors.contains(part), "{part}: {}", refused.errors);
        }
    }
}
