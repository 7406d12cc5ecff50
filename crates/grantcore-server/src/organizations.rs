//! The organizations of the accounts, and which of them a connection is for.
//!
//! Here: who is a member of what, and the rule that decides about the answer on a consent page.
//! Never here: the page itself, and the file of settings (`config/declared.rs`).
//!
//! A connection of a member is for one organization, which is bound to its grant as a property. The
//! user chooses it, or the client names it: a resource of a template with the variable `org` is of
//! that organization.

use std::collections::{BTreeMap, BTreeSet};

use grantcore::Policy;
use grantcore::account::RefreshDecision;
use grantcore::grant::Grant;
use grantcore::value::{Properties, PropertiesError};
use serde::{Deserialize, Serialize};

use crate::config::Declared;

/// The variable of a template of resources that has the id of an organization.
const VARIABLE: &str = "org";

/// The organizations of the demonstration: id, name and members.
const DEMO: [(&str, &str, &[&str]); 2] =
    [("acme", "Acme", &["bob", "carol"]), ("globex", "Globex", &["carol"])];

/// All organizations, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Organizations(BTreeMap<String, Organization>);

#[derive(Debug)]
struct Organization {
    name: String,
    members: BTreeSet<String>,
}

/// The properties of a grant.
#[derive(Serialize, Deserialize)]
struct Bound {
    organization: String,
}

/// Which organization a connection of a user can be for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Candidates<'o> {
    /// The user belongs to none.
    None,
    /// This one: the user's only one, or that of the resource. Its id.
    One(&'o str),
    /// One of these, which the user chooses. Their ids.
    Several(Vec<&'o str>),
    /// The resource is of this organization, which the user does not belong to.
    Stranger(String),
}

/// Why no connection is made by an answer on a consent page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unbound {
    /// The user has not chosen.
    NotChosen,
    /// The form names an organization that the connection cannot be for.
    NotMember,
}

impl Organizations {
    /// Returns those of the file of settings, or those of the demonstration accounts.
    pub(crate) fn of(declared: Option<&Declared>, has_demo_accounts: bool) -> Self {
        let entry = |id: &str, name: &str, members: BTreeSet<String>| {
            (id.to_owned(), Organization { name: name.to_owned(), members })
        };
        match declared {
            Some(declared) => Self(
                declared
                    .organizations
                    .iter()
                    .map(|own| &own.value)
                    .map(|own| {
                        let name = own.name.as_deref().unwrap_or(&own.id);
                        entry(&own.id, name, own.members.iter().cloned().collect())
                    })
                    .collect(),
            ),
            None if has_demo_accounts => {
                let members = |members: &[&str]| members.iter().map(|&own| own.into()).collect();
                Self(DEMO.map(|(id, name, own)| entry(id, name, members(own))).into())
            }
            None => Self::default(),
        }
    }

    /// Returns the name of an organization for people, or its id if it is not declared any more.
    pub(crate) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, |own| own.name.as_str())
    }

    /// Returns whether an account belongs to an organization. An organization that is not declared
    /// any more has no members.
    pub(crate) fn has_member(&self, id: &str, subject: &str) -> bool {
        self.0.get(id).is_some_and(|own| own.members.contains(subject))
    }

    /// Decides about a connection that is being refreshed: it ends if it is for an organization
    /// that its user does not belong to any more.
    pub(crate) fn decide(&self, grant: &Grant) -> RefreshDecision {
        let bound = bound(grant.properties()).zip(grant.subject());
        match bound {
            Some((id, subject)) if !self.has_member(&id, subject.as_str()) => {
                RefreshDecision::End(format!("the user does not belong to {id} any more").into())
            }
            _ => RefreshDecision::Keep,
        }
    }

    /// Returns the organizations that a connection of this user to these resources can be for.
    pub(crate) fn candidates<'r>(
        &self,
        subject: &str,
        policy: &Policy,
        resources: impl IntoIterator<Item = &'r str>,
    ) -> Candidates<'_> {
        let own: Vec<&str> = self
            .0
            .iter()
            .filter(|(_, organization)| organization.members.contains(subject))
            .map(|(id, _)| id.as_str())
            .collect();
        let named: BTreeSet<String> = resources
            .into_iter()
            .filter_map(|url| policy.resource(url)?.variable(VARIABLE).map(str::to_owned))
            .collect();
        let mut named = named.into_iter();
        match (named.next(), named.next()) {
            (Some(id), None) => match own.iter().find(|own| **own == id) {
                Some(own) => Candidates::One(own),
                None => Candidates::Stranger(id),
            },
            // Resources of two organizations: no connection is for both.
            (Some(_), Some(id)) => Candidates::Stranger(id),
            (None, _) => match own.as_slice() {
                [] => Candidates::None,
                [one] => Candidates::One(one),
                _ => Candidates::Several(own),
            },
        }
    }
}

impl<'o> Candidates<'o> {
    /// Returns the organization that a form with this answer is for, or `None` if the user belongs
    /// to none. A form is written by hand easily, so it names only what the page could offer.
    pub(crate) fn choose(&self, answer: Option<&str>) -> Result<Option<&'o str>, Unbound> {
        let answer = answer.filter(|answer| !answer.is_empty());
        let offered: &[&'o str] = match self {
            Self::Stranger(_) => return Err(Unbound::NotMember),
            Self::None => &[],
            Self::One(own) => std::slice::from_ref(own),
            Self::Several(own) => own,
        };
        match answer {
            Some(answer) => {
                let own = offered.iter().find(|own| **own == answer);
                own.map(|own| Some(*own)).ok_or(Unbound::NotMember)
            }
            None if offered.len() > 1 => Err(Unbound::NotChosen),
            None => Ok(offered.first().copied()),
        }
    }
}

/// Returns the properties of a connection for this organization.
pub(crate) fn properties(id: &str) -> Result<Properties, PropertiesError> {
    Properties::of(&Bound { organization: id.to_owned() })
}

/// Returns the id of the organization that a connection is for, if it is for one.
pub(crate) fn bound(properties: Option<&Properties>) -> Option<String> {
    properties?.read().ok().map(|Bound { organization }| organization)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_08_a_form_is_for_an_organization_that_the_page_offers() {
        let template = "https://{org}.example.com/mcp";
        let policy = Policy::builder("https://auth.example")
            .resource(template, "")
            .resource("https://{org}.files.example.net", "")
            .resource("https://api.example", "")
            .build()
            .unwrap();
        let all = Organizations::of(None, true);
        let choose = |subject: &str, resources: &[&str], answer: Option<&str>| {
            let found = all.candidates(subject, &policy, resources.iter().copied());
            found.choose(answer).map(|own| own.map(str::to_owned))
        };
        let is = |id: &str| Ok(Some(id.to_owned()));
        let api = &["https://api.example"][..];
        let acme = &["https://acme.example.com/mcp"][..];
        let globex = &["https://globex.example.com/mcp", "https://api.example"][..];
        let both = &["https://acme.example.com/mcp", "https://globex.files.example.net"][..];
        for (subject, resources, answer, expected) in [
            ("alice", api, None, Ok(None)),
            ("alice", api, Some(""), Ok(None)),
            ("alice", api, Some("acme"), Err(Unbound::NotMember)),
            ("alice", acme, None, Err(Unbound::NotMember)),
            ("bob", api, None, is("acme")),
            ("bob", api, Some("acme"), is("acme")),
            ("bob", api, Some("globex"), Err(Unbound::NotMember)),
            ("bob", acme, None, is("acme")),
            ("bob", globex, None, Err(Unbound::NotMember)),
            ("bob", globex, Some("acme"), Err(Unbound::NotMember)),
            ("carol", api, None, Err(Unbound::NotChosen)),
            ("carol", api, Some(""), Err(Unbound::NotChosen)),
            ("carol", api, Some("globex"), is("globex")),
            ("carol", api, Some("Globex"), Err(Unbound::NotMember)),
            ("carol", globex, None, is("globex")),
            ("carol", globex, Some("acme"), Err(Unbound::NotMember)),
            ("carol", both, None, Err(Unbound::NotMember)),
        ] {
            let found = choose(subject, resources, answer);
            assert_eq!(found, expected, "{subject} {resources:?} {answer:?}");
        }
    }

    #[test]
    fn properties_are_read_back_and_others_are_not() {
        let own = properties("acme").unwrap();
        assert_eq!(own.as_str(), r#"{"organization":"acme"}"#);
        assert_eq!(bound(Some(&own)).as_deref(), Some("acme"));
        assert_eq!(bound(Some(&Properties::parse(r#"{"plan":1}"#).unwrap())), None);
        assert_eq!(bound(None), None);
    }
}
