//! Tests of the metrics: they agree with a flow, with their documentation, and with nothing that a
//! request can invent.

use std::collections::{BTreeMap, BTreeSet};

use grantcore_server::Running;
use reqwest::StatusCode;
use serde_json::Value;

use super::start;
use crate::support::client::redemption;
use crate::support::{Browser, authorization_url, param, plain_client};

const DEPLOY: &str = include_str!("../../../../../docs/deploy.md");

/// The samples of an export, by their series such as `grantcore_events_total{kind="…"}`.
type Samples = BTreeMap<String, f64>;

async fn measured(more: &[&str]) -> Running {
    start(&[&["--metrics-listen", "127.0.0.1:0"], more].concat()).await
}

async fn text(server: &Running) -> String {
    let address = server.metrics_address().unwrap();
    let answer = plain_client(false).get(format!("http://{address}/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

async fn samples(server: &Running) -> Samples {
    let text = text(server).await;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Returns the samples that changed, with their differences. Durations are left out, because they
/// differ with each run; the numbers of durations are not.
fn changes(before: &Samples, after: &Samples) -> BTreeMap<String, i64> {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let counted = after
        .iter()
        .filter(|(series, _)| !["_bucket", "_sum"].iter().any(|end| name(series).ends_with(end)));
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let changed = counted.map(|(series, value)| (series.clone(), (value - before[series]) as i64));
    changed.filter(|(_, difference)| *difference != 0).collect()
}

fn name(series: &str) -> &str {
    series.split('{').next().unwrap()
}

/// Requests tokens, and returns the status and the response.
async fn token(server: &Running, form: &[(&str, &str)]) -> (u16, Value) {
    let request = plain_client(false).post(format!("{}/oauth/token", server.issuer())).form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_counts_of_a_flow_are_exported() {
    let server = measured(&["--replay-window", "30s"]).await;
    let issuer = server.issuer();
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let browser = Browser::new("alice");
    // Signs in, so that the rest of the flow has one request for each step.
    browser.authorize(&url, "deny").await;
    let before = samples(&server).await;

    let page = browser.consent_page(&url).await;
    let shown = changes(&before, &samples(&server).await);
    assert_eq!(shown["grantcore_consents_pending"], 1, "{shown:?}");
    let code = param(&browser.press(&url, &page, "allow").await, "code").unwrap();
    let redeem = redemption("demo-public", &code);
    let (status, tokens) = token(&server, &redeem).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", "demo-public"), ("refresh_token", refresh)];
    for _ in 0..2 {
        assert_eq!(token(&server, &refresh).await.0, 200, "the second is a replay in its window");
    }
    let api = plain_client(false).get(format!("{issuer}/api"));
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(api.bearer_auth(access).send().await.unwrap().status(), 200);
    assert_eq!(token(&server, &redeem).await.0, 400, "the code is used, which ends the grant");
    for path in ["nowhere", "metrics"] {
        let nothing = plain_client(false).get(format!("{issuer}/{path}")).send().await.unwrap();
        assert_eq!(nothing.status(), 404, "{path} is no path of the public listener");
    }
    let attributed =
        |kind| format!(r#"grantcore_events_total{{kind="{kind}",class="attributed"}}"#);
    let requests = |endpoint, status| {
        format!(r#"grantcore_http_requests_total{{endpoint="{endpoint}",status="{status}"}}"#)
    };
    let after = changes(&before, &samples(&server).await);
    let other = |series: &&String| {
        !series.starts_with("grantcore_store_")
            && !series.contains("_duration_seconds")
            && name(series) != "grantcore_http_connections"
    };
    let seen: BTreeMap<_, _> =
        after.keys().filter(other).map(|series| (series.clone(), after[series])).collect();
    let mut expected: BTreeMap<String, i64> = [
        attributed("consent_shown"),
        attributed("consent_approved"),
        attributed("code_redeemed"),
        attributed("tokens_refreshed"),
        attributed("refresh_replayed_in_window"),
        attributed("access_allowed"),
        attributed("refused"),
        // The consent page says since when the application was connected.
        r#"grantcore_events_total{kind="connections_listed",class="unattributed"}"#.to_owned(),
        r#"grantcore_refusals_total{reason="code_reused"}"#.to_owned(),
        r#"grantcore_replays_total{credential="code",outcome="refused"}"#.to_owned(),
        r#"grantcore_replays_total{credential="refresh_token",outcome="repeated"}"#.to_owned(),
        requests("authorization", "2xx"),
        requests("consent", "3xx"),
        requests("resource", "2xx"),
        requests("token", "4xx"),
    ]
    .map(|series| (series, 1))
    .into();
    expected.insert(requests("token", "2xx"), 3);
    expected.insert(requests("other", "4xx"), 2);
    assert_eq!(seen, expected);
    let duration = |endpoint| {
        format!(r#"grantcore_http_request_duration_seconds_count{{endpoint="{endpoint}"}}"#)
    };
    assert_eq!((after[&duration("token")], after[&duration("other")]), (4, 2));
    let operation =
        |name| format!(r#"grantcore_store_duration_seconds_count{{operation="{name}"}}"#);
    // The consent page, its answer, the code, the refresh, and the code again.
    assert_eq!(after[&operation("commit")], 5, "{after:?}");
    assert!(after[&operation("load")] > 0 && after[&operation("session")] > 0, "{after:?}");
    assert_eq!(after[&operation("change_balance")], 1, "the call of the API");

    // Another connection, which its client ends.
    let code = param(&browser.authorize(&url, "allow").await, "code").unwrap();
    let (_, tokens) = token(
        &server,
        &redeem.map(|(name, value)| (name, if name == "code" { code.as_str() } else { value })),
    )
    .await;
    let ended =
        [("client_id", "demo-public"), ("token", tokens["refresh_token"].as_str().unwrap())];
    let revoke = plain_client(false).post(format!("{issuer}/oauth/revoke")).form(&ended);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    let revoked = changes(&before, &samples(&server).await);
    assert_eq!(revoked[r#"grantcore_revocations_total{kind="grant_revoked"}"#], 1);
    assert_eq!(revoked[&requests("revocation", "2xx")], 1);
    let all = text(&server).await;
    for series in ["grantcore_http_requests_in_flight", "grantcore_audit_events_dropped_total"] {
        assert!(all.contains(&format!("\n{series} 0\n")), "{all}");
    }
    server.stop().await.unwrap();
}

/// Nothing that a request names becomes a label, and no request adds a series.
#[tokio::test]
async fn no_request_adds_a_series() {
    let server = measured(&[]).await;
    let issuer = server.issuer();
    let before = samples(&server).await;
    let http = plain_client(false);
    for path in ["/hunter2", "/oauth/hunter2", "/.well-known/hunter2", "/admin/accounts/hunter2"] {
        http.get(format!("{issuer}{path}?hunter2")).send().await.unwrap();
    }
    let form = [
        ("grant_type", "hunter2"),
        ("client_id", "hunter2"),
        ("code", "hunter2"),
        ("resource", "https://hunter2.example"),
    ];
    for (user, path) in [("hunter2", "token"), ("demo-confidential", "introspect")] {
        let request = http.post(format!("{issuer}/oauth/{path}")).basic_auth(user, Some("hunter2"));
        request.form(&form).send().await.unwrap();
    }
    let method = reqwest::Method::from_bytes(b"HUNTER2").unwrap();
    http.request(method, issuer).header("host", "127.0.0.1").send().await.unwrap();
    let after = text(&server).await;
    assert!(!after.contains("hunter2") && !after.contains("HUNTER2"), "{after}");
    assert!(!after.contains("demo-") && !after.contains("127.0.0.1"), "{after}");
    let changed = changes(&before, &samples(&server).await);
    assert!(changed.keys().any(|series| name(series) == "grantcore_refusals_total"), "{changed:?}");
}

#[tokio::test]
async fn nothing_is_measured_without_the_flag() {
    let server = start(&[]).await;
    assert_eq!(server.metrics_address(), None);
    let public = server.address().to_string();
    let busy = ["--listen", "127.0.0.1:0", "--metrics-listen", &public, "--database", "memory:"];
    let error =
        Running::start(["grantcore-server"].iter().chain(&busy).copied()).await.unwrap_err();
    assert!(error.to_string().contains("choose another --metrics-listen"), "{error}");
}

/// The table of docs/deploy.md is what the server exports: names, kinds, labels and meanings.
#[tokio::test]
async fn the_documented_metrics_are_those_that_are_exported() {
    let section = DEPLOY.split_once("\n## Metrics\n").unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<[String; 4]> = rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            [cells[0].replace('`', ""), cells[1].into(), cells[2].replace('`', ""), cells[3].into()]
        })
        .collect();

    let server = measured(&[]).await;
    let text = text(&server).await;
    let of = |mark: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let (kinds, meanings) = (of("# TYPE "), of("# HELP "));
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let own = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            name(series).strip_suffix(end).filter(|name| kinds.contains_key(*name))
        });
        let found = labels.entry(own.unwrap_or(name(series))).or_default();
        let inner = series.split_once('{').map_or("", |(_, inner)| inner.trim_end_matches('}'));
        found.extend(inner.split(',').filter_map(|label| Some(label.split_once('=')?.0)));
        found.remove("le");
    }
    let exported: BTreeSet<[String; 4]> = kinds
        .iter()
        .map(|(name, kind)| {
            let labels: Vec<_> = labels[name.as_str()].iter().copied().collect();
            [name.clone(), kind.clone(), labels.join(", "), meanings[name].clone()]
        })
        .collect();
    assert_eq!(documented, exported);
    // Every metric of the alerts exists.
    let alerts = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("grantcore_") || word.starts_with("process_"))
    {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        assert!(kinds.contains_key(word) || base.is_some_and(|b| kinds.contains_key(b)), "{word}");
    }
}
