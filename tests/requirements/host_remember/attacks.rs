//! Attacks by which a consent would be remembered that does not cover the request (I54).

use super::*;

/// A code goes out without a page only if every condition holds, whatever else deviates.
#[test]
fn i54_two_deviations_do_not_make_a_consent() {
    for (position, (first, happen)) in DEVIATIONS.iter().enumerate() {
        for (second, also) in &DEVIATIONS[position + 1..] {
            let earlier = Earlier::new(Remember::HttpsRedirect);
            happen(&earlier);
            also(&earlier);
            for params in [again(), again().set("prompt", "none")] {
                let step = earlier.ask(&params, ALICE.remembering(earlier.id));
                let is_page = matches!(step, Ok(AuthorizationStep::NeedsConsent(_)));
                let is_refused =
                    step.is_err_and(|refusal| refusal.reason() == Reason::ConsentRequired);
                let is_silent = params.0.iter().any(|(name, _)| name == "prompt");
                assert_eq!((is_page, is_refused), (!is_silent, is_silent), "{first}, {second}");
            }
        }
    }
}

/// Doorkeeper CVE-2023-34246 and go-gitea/gitea#30836: public clients were approved from history.
#[test]
fn cve_2023_34246_no_setting_remembers_a_public_client_on_the_users_own_device() {
    for remember in [Remember::Never, Remember::Confidential, Remember::HttpsRedirect] {
        for uri in ["https://app.example/cb", "http://127.0.0.1:4711/cb", "com.example.app:/cb"] {
            for mode in [None, Some(ConsentMode::Ask), Some(ConsentMode::Remember)] {
                let world = World::with(remembering(remember));
                let mut own = Client::public("app").redirect_uri(uri);
                if let Some(mode) = mode {
                    own = own.consent(mode);
                }
                world.put(own.build().unwrap());
                let params = Params::authorize().set("redirect_uri", uri);
                let code = world.code(&params);
                Granted::of(&world.token(&Params::redeem(&code).set("redirect_uri", uri)));
                let user = ALICE.remembering(world.grants()[0].record.id());
                let may_be_silent = remember == Remember::HttpsRedirect
                    && uri.starts_with("https")
                    && mode != Some(ConsentMode::Ask);
                for site in SITES {
                    let step = ask_from(&world, &params, user, site);
                    let is_own = matches!(site, Site::SameOrigin | Site::None);
                    if may_be_silent && is_own {
                        silent(step);
                    } else {
                        assert_asked(step);
                    }
                }
            }
        }
    }
}

/// PrefectHQ/fastmcp#3960: a hostile server between client and this one rode on a consent for a
/// `client_id` that all servers share.
#[test]
fn ghsa_6x8h_498w_gv8c_a_shared_client_id_is_asked_when_another_site_began() {
    use crate::support::clients::ask;
    use grantcore::policy::DocumentRules;
    use serde_json::json;
    let id = "https://editor.example/client.json";
    let uri = "https://editor.example/cb";
    for remember in [Remember::Confidential, Remember::HttpsRedirect] {
        let world = World::with(remembering(remember).client_documents(DocumentRules::default()));
        let document = json!({ "client_id": id, "client_name": "Editor", "redirect_uris": [uri] });
        let params = ask(id).set("redirect_uri", uri);
        let page = world.page_with(&params, &document);
        let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
        let code = param(&location, "code").unwrap();
        let redeem = Params::redeem(&code).set("client_id", id).set("redirect_uri", uri);
        Granted::of(&world.token(&redeem));
        let user = ALICE.remembering(world.grants()[0].record.id());
        for site in [Site::CrossSite, Site::SameSite, Site::Unknown] {
            assert_asked(ask_from(&world, &params, user, site));
        }
        let from_here = ask_from(&world, &params, user, Site::None);
        assert_eq!(
            matches!(from_here, Ok(AuthorizationStep::Done(_))),
            remember == Remember::HttpsRedirect
        );
    }
}

/// cloudflare/ai#51 and PrefectHQ/fastmcp#2056: one consent counted for all clients behind a proxy.
#[test]
fn fastmcp_2056_a_consent_for_one_client_is_none_for_another() {
    for remember in [Remember::Confidential, Remember::HttpsRedirect] {
        let earlier = Earlier::new(remember);
        let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
        let other = Client::confidential("other", SecretMethod::Post, secret)
            .redirect_uri(WEB_CALLBACK)
            .build()
            .unwrap();
        earlier.world.put(other);
        let params = again().set("client_id", "other");
        let user = ALICE.remembering(earlier.id);
        assert_asked(ask_from(&earlier.world, &params, user, Site::SameOrigin));
        silent(earlier.again());
    }
}
