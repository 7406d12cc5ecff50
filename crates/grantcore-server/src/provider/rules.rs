//! Who may sign in, under which account, by which name, and who is an administrator.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grantcore::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::token::Claims;
use crate::config::{NameClaim, ProviderIssuer, ProviderSettings, RequiredClaim};
use crate::sessions::Person;

/// What the subject of each account of a provider begins with. The names of an accounts file have
/// no colon.
const PREFIX: &str = "oidc:";
/// The longest name of an account, in characters.
const LONGEST_NAME: usize = 128;

/// Returns a name of the provider as it is kept: without spaces around it, and cut.
pub(crate) fn shown_name(name: &str) -> String {
    name.trim().chars().take(LONGEST_NAME).collect()
}

/// Returns whether the account is one of a provider.
pub(crate) fn is_of_provider(subject: &str) -> bool {
    subject.starts_with(PREFIX)
}

/// Returns the subject of the account of a provider's user: a digest of the issuer and `sub`, which
/// says nothing about the user. The length keeps two pairs of the same text apart.
pub(crate) fn subject_of(issuer: &str, sub: &str) -> String {
    let pair = format!("{}\n{issuer}{sub}", issuer.len());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(pair)))
}

/// The rules of the settings.
pub(super) struct Rules {
    issuer: String,
    name: NameClaim,
    domains: Vec<String>,
    claims: Vec<RequiredClaim>,
    subjects: Vec<String>,
    admin_subjects: Vec<String>,
    admin_emails: Vec<String>,
    digest: String,
}

/// The user signed in with the provider, and may not sign in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAllowed {
    /// The user's `sub` at the provider.
    pub(crate) sub: String,
    pub(crate) why: Why,
}

/// The rule that a user does not meet. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("the subject is not one of --provider-subjects")]
    Subject,
    #[error("the ID token has no e-mail address that the provider has verified")]
    NoEmail,
    #[error("the e-mail address is in none of --provider-domains")]
    Domain,
    #[error("the claim `{0}` does not have the value of --provider-claims")]
    Claim(String),
}

impl Rules {
    pub(super) fn of(settings: &ProviderSettings, issuer: &ProviderIssuer, client: &str) -> Self {
        let named = |list: &[String]| -> Vec<String> {
            list.iter().filter(|own| !own.is_empty()).cloned().collect()
        };
        let mut rules = Self {
            issuer: issuer.as_str().to_owned(),
            name: settings.provider_account_name,
            domains: settings.provider_domains.clone(),
            claims: settings.provider_claims.clone(),
            subjects: named(&settings.provider_subjects),
            admin_subjects: named(&settings.provider_admin_subjects),
            admin_emails: settings.provider_admin_emails.clone(),
            digest: String::new(),
        };
        let Self { issuer, domains, claims, subjects, admin_subjects, admin_emails, .. } = &rules;
        let decisive = format!(
            "{:?}",
            (issuer, client, domains, claims, subjects, admin_subjects, admin_emails)
        );
        rules.digest = URL_SAFE_NO_PAD.encode(Sha256::digest(decisive));
        rules
    }

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the account of a user who may sign in. All rules that are set must be met.
    pub(super) fn judge(&self, claims: &Claims) -> Result<Person, NotAllowed> {
        if let Some(why) = self.refusal(claims) {
            return Err(NotAllowed { sub: claims.sub.clone(), why });
        }
        let email = claims.email.as_deref().map(str::to_ascii_lowercase);
        let is_admin = self.admin_subjects.contains(&claims.sub)
            || email.is_some_and(|email| self.admin_emails.contains(&email));
        Ok(Person {
            subject: self.subject(&claims.sub),
            name: self.name(claims),
            is_admin,
            signed_in: claims.auth_time.map(Timestamp::from),
        })
    }

    fn refusal(&self, claims: &Claims) -> Option<Why> {
        if !self.subjects.is_empty() && !self.subjects.contains(&claims.sub) {
            return Some(Why::Subject);
        }
        if !self.domains.is_empty() {
            let Some(email) = &claims.email else { return Some(Why::NoEmail) };
            if domain_of(email).is_none_or(|domain| !self.domains.contains(&domain)) {
                return Some(Why::Domain);
            }
        }
        let missing = self.claims.iter().find(|claim| !has(claims, claim));
        missing.map(|claim| Why::Claim(claim.name.clone()))
    }

    /// Returns the subject of the account.
    fn subject(&self, sub: &str) -> String {
        subject_of(&self.issuer, sub)
    }

    /// Returns the name that pages show.
    fn name(&self, claims: &Claims) -> Option<String> {
        let Claims { email, username, name, .. } = claims;
        let order = match self.name {
            NameClaim::Email => [email, username, name],
            NameClaim::PreferredUsername => [username, email, name],
            NameClaim::Name => [name, username, email],
        };
        let mut found = order.into_iter().flatten().map(|name| shown_name(name));
        found.find(|name| !name.is_empty())
    }
}

/// Returns the domain of an e-mail address. An address with a second at sign has none: systems
/// disagree on which of the two begins the domain.
fn domain_of(email: &str) -> Option<String> {
    let (local, domain) = email.split_once('@')?;
    let is_plain = !local.is_empty() && !domain.contains('@');
    is_plain.then(|| domain.to_ascii_lowercase())
}

/// Returns whether a claim has this value, or is a list with it.
fn has(claims: &Claims, RequiredClaim { name, value }: &RequiredClaim) -> bool {
    let is = |own: &Value| match own {
        Value::String(own) => own == value,
        Value::Bool(_) | Value::Number(_) => value.parse().is_ok_and(|value: Value| value == *own),
        _ => false,
    };
    match claims.others.get(name) {
        Some(Value::Array(list)) => list.iter().any(is),
        Some(own) => is(own),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::Config;

    fn rules(issuer: &str, flags: &[&str]) -> Rules {
        let arguments = ["grantcore-server", "--provider-issuer", issuer];
        let config = Config::try_parse_from([&arguments[..], flags].concat()).unwrap();
        let issuer = config.provider.provider_issuer.clone().unwrap();
        Rules::of(&config.provider, &issuer, "client")
    }

    fn claims(sub: &str, email: Option<&str>) -> Claims {
        let others = serde_json::json!({ "hd": "a.example", "groups": ["x", "staff"], "n": 7 });
        Claims {
            sub: sub.to_owned(),
            email: email.map(str::to_owned),
            username: Some("ally".to_owned()),
            name: Some(" ".to_owned()),
            others: others.as_object().unwrap().clone(),
            auth_time: None,
        }
    }

    const ISSUER: &str = "https://idp.example";

    #[test]
    fn an_account_is_its_issuer_and_sub_and_never_its_address() {
        let judge = |issuer: &str, sub: &str, email: &str| {
            rules(issuer, &[]).judge(&claims(sub, Some(email))).unwrap().subject
        };
        let own = judge(ISSUER, "1", "a@a.example");
        assert!(is_of_provider(&own) && own.len() == PREFIX.len() + 43, "{own}");
        assert_eq!(judge(ISSUER, "1", "b@b.example"), own);
        for (issuer, sub) in [(ISSUER, "2"), ("https://idp.example1", ""), ("https://other", "1")] {
            assert_ne!(judge(issuer, sub, "a@a.example"), own, "{issuer} {sub}");
        }
    }

    #[test]
    fn every_rule_that_is_set_must_be_met() {
        let a = claims("1", Some("Alice@A.Example"));
        let none = claims("1", None);
        let domain: &[&str] = &["--provider-domains", "b.example,A.example"];
        let claim = |text| ["--provider-claims", text];
        for (flags, own, expected) in [
            (&[][..], &none, None),
            (domain, &a, None),
            (domain, &none, Some(Why::NoEmail)),
            (domain, &claims("1", Some("a@sub.a.example")), Some(Why::Domain)),
            (domain, &claims("1", Some("a@a.example@evil.example")), Some(Why::Domain)),
            (domain, &claims("1", Some("a.example")), Some(Why::Domain)),
            (domain, &claims("1", Some("a@evil.com@a.example")), Some(Why::Domain)),
            (domain, &claims("1", Some("\"a@evil.com\"@a.example")), Some(Why::Domain)),
            (domain, &claims("1", Some("@a.example")), Some(Why::Domain)),
            (&["--provider-subjects", "2,1"], &none, None),
            (&["--provider-subjects", "2"], &a, Some(Why::Subject)),
            (&claim("hd=a.example"), &a, None),
            (&claim("groups=staff"), &a, None),
            (&claim("n=7"), &a, None),
            (&claim("groups=sta"), &a, Some(Why::Claim("groups".to_owned()))),
            (&claim("hd=A.example"), &a, Some(Why::Claim("hd".to_owned()))),
            (&claim("hd=a.example,no=x"), &a, Some(Why::Claim("no".to_owned()))),
        ] {
            let judged = rules(ISSUER, flags).judge(own);
            assert_eq!(judged.err().map(|refused| refused.why), expected, "{flags:?}");
        }
        let both = [domain, &["--provider-subjects", "2"]].concat();
        assert!(rules(ISSUER, &both).judge(&a).is_err());
    }

    #[test]
    fn administrators_are_named_by_subject_or_verified_address() {
        let is_admin =
            |flags: &[&str], own: &Claims| rules(ISSUER, flags).judge(own).unwrap().is_admin;
        let subject = ["--provider-admin-subjects", "1"];
        let email = ["--provider-admin-emails", "Ops@a.example"];
        assert!(is_admin(&subject, &claims("1", None)) && !is_admin(&subject, &claims("2", None)));
        assert!(is_admin(&email, &claims("2", Some("ops@A.example"))));
        assert!(!is_admin(&email, &claims("2", None)), "an address that is not verified is none");
        assert!(!is_admin(&[], &claims("1", Some("ops@a.example"))));
        // An address is no subject, and a subject no address.
        let sub = claims("ops@a.example", None);
        assert!(!is_admin(&email, &sub));
    }

    #[test]
    fn the_name_is_the_claim_of_the_settings_or_another_one() {
        let name =
            |flags: &[&str], claims: &Claims| rules(ISSUER, flags).judge(claims).unwrap().name;
        let full = claims("1", Some("a@a.example"));
        assert_eq!(name(&[], &full).as_deref(), Some("a@a.example"));
        assert_eq!(name(&[], &claims("1", None)).as_deref(), Some("ally"));
        let chosen = ["--provider-account-name", "name"];
        assert_eq!(name(&chosen, &full).as_deref(), Some("ally"), "an empty name is none");
        let long = Claims { name: Some("x".repeat(1000)), ..full };
        assert_eq!(name(&chosen, &long).map(|name| name.len()), Some(LONGEST_NAME));
    }

    #[test]
    fn another_rule_is_another_credential() {
        let mut all = vec![rules(ISSUER, &[]).digest, rules("https://other", &[]).digest];
        for flags in [
            ["--provider-domains", "a"],
            ["--provider-subjects", "a"],
            ["--provider-claims", "a=a"],
            ["--provider-admin-subjects", "a"],
            ["--provider-admin-emails", "a@a"],
        ] {
            all.push(rules(ISSUER, &flags).digest);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7);
    }
}
