//! The pages of the clients.

use std::fmt;

use askama::Template;
use axum::http::StatusCode;

use crate::pages::{AppName, Done, Nav, Screen, filters};

/// Whether a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    /// An administrator suspended it.
    Suspended,
    /// It expired, or was deleted.
    Over,
}

/// One page of the list of clients.
#[derive(Debug, Template)]
#[template(path = "admin_clients.html", whitespace = "minimize")]
pub(crate) struct Clients {
    pub(crate) nav: Nav,
    /// What is searched for; empty without a search.
    pub(crate) typed: String,
    pub(crate) listed: Vec<ClientRow>,
    /// The address of the next page.
    pub(crate) more: Option<String>,
    /// Whether this is the first page.
    pub(crate) is_first: bool,
}

impl Screen for Clients {}

/// One client in the list.
#[derive(Debug)]
pub(crate) struct ClientRow {
    pub(crate) id: String,
    /// The address of its page.
    pub(crate) path: String,
    pub(crate) name: AppName,
    pub(crate) origin: &'static str,
    /// When it registered itself, or its document was first read.
    pub(crate) created: Option<String>,
    pub(crate) standing: Standing,
    /// The address that asks to suspend it, or to lift its suspension.
    pub(crate) change: Option<String>,
}

/// One client.
#[derive(Debug, Template)]
#[template(path = "admin_client.html", whitespace = "minimize")]
pub(crate) struct ClientPage {
    pub(crate) nav: Nav,
    /// What was just done.
    pub(crate) done: Option<Done>,
    pub(crate) id: String,
    pub(crate) name: AppName,
    /// The name as it was registered.
    pub(crate) whole_name: Option<String>,
    pub(crate) standing: Standing,
    /// The account that is responsible for it, and whether that account is active.
    pub(crate) owner: Option<(String, bool)>,
    pub(crate) origin: &'static str,
    pub(crate) created: Option<String>,
    /// When it is forgotten unless it is used.
    pub(crate) expires: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<&'static str>,
    /// The widest scope. `None` is every scope of the server.
    pub(crate) scopes: Option<Vec<String>>,
    /// What it may do without a user: the scopes, and the resources unless they are all.
    pub(crate) machine: Option<(Vec<String>, Option<Vec<String>>)>,
    /// What the operator set on a client that registered itself.
    pub(crate) restrictions: Vec<String>,
    /// How it proves itself.
    pub(crate) proof: ClientProof,
    /// The client's own pages: what they are, and their addresses.
    pub(crate) pages: Vec<(&'static str, String)>,
    /// The version that the application claims to be.
    pub(crate) software: Option<String>,
    /// Whether its users are asked at each request.
    pub(crate) consent: &'static str,
    pub(crate) is_trusted: bool,
    pub(crate) is_declared: bool,
    pub(crate) change: Option<String>,
    /// The address that asks to disconnect it from all accounts.
    pub(crate) disconnect: Option<String>,
    /// The address that asks to replace its secret.
    pub(crate) rotate: Option<String>,
    /// The address of the client's audit log.
    pub(crate) log: String,
}

impl Screen for ClientPage {}

/// How a client proves itself.
#[derive(Debug)]
pub(crate) struct ClientProof {
    pub(crate) method: &'static str,
    /// What the method rests on: each fact, with its value if it has one.
    pub(crate) facts: Vec<(&'static str, Option<String>)>,
}

/// The form that adds a client.
#[derive(Debug, Template)]
#[template(path = "admin_new_client.html", whitespace = "minimize")]
pub(crate) struct NewClient {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) redirect_uris: String,
    pub(crate) method: String,
    /// Each scope of the server: its name, its description, and whether it is ticked.
    pub(crate) scopes: Vec<(String, String, bool)>,
    /// The field that is wrong, and what is right.
    pub(crate) wrong: Option<(&'static str, String)>,
}

impl NewClient {
    /// Returns what is wrong with this field.
    fn fault(&self, field: &str) -> Option<&str> {
        self.wrong.as_ref().filter(|(own, _)| *own == field).map(|(_, text)| &**text)
    }
}

impl Screen for NewClient {
    fn status(&self) -> StatusCode {
        if self.wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }
}

/// The page that shows a new secret. No other page shows it.
#[derive(Template)]
#[template(path = "admin_secret.html", whitespace = "minimize")]
pub(crate) struct NewSecret {
    pub(crate) nav: Nav,
    pub(crate) title: &'static str,
    /// The client ID.
    pub(crate) id: String,
    /// The address of the client's page.
    pub(crate) path: String,
    /// `None` after the secret was shown.
    pub(crate) secret: Option<String>,
    /// What became of the former secret, if there was one.
    pub(crate) ended: Option<&'static str>,
}

impl Screen for NewSecret {
    fn status(&self) -> StatusCode {
        if self.secret.is_some() { StatusCode::OK } else { StatusCode::GONE }
    }
}

/// Shows no secret.
impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn admin(text: &str) -> Nav {
        Nav { is_admin: true, ..Nav::of(Some(text)) }
    }

    fn name(text: &str) -> AppName {
        AppName { text: text.into(), is_claim: true }
    }

    pub(crate) fn clients(text: &str) -> Clients {
        let one = |standing| ClientRow {
            id: text.into(),
            path: text.into(),
            name: name(text),
            origin: "Registered itself",
            created: Some(text.into()),
            standing,
            change: (standing != Standing::Over).then(|| text.into()),
        };
        Clients {
            nav: admin(text),
            typed: text.into(),
            listed: [Standing::Active, Standing::Suspended, Standing::Over].map(one).into(),
            more: Some(text.into()),
            is_first: false,
        }
    }

    pub(crate) fn client(text: &str) -> ClientPage {
        ClientPage {
            nav: admin(text),
            done: Some(crate::pages::admin::tests::done(text)),
            id: text.into(),
            name: name(text),
            whole_name: Some(text.into()),
            standing: Standing::Suspended,
            owner: Some((text.into(), false)),
            origin: "Registered itself",
            created: Some(text.into()),
            expires: Some(text.into()),
            redirect_uris: vec![text.into(), text.into()],
            grant_types: vec!["authorization_code"],
            scopes: Some(vec![text.into()]),
            machine: Some((vec![text.into()], Some(vec![text.into()]))),
            restrictions: vec![text.into()],
            proof: ClientProof {
                method: "client_secret_basic",
                facts: vec![("One secret", None), ("until", Some(text.into()))],
            },
            pages: vec![("Website", text.into())],
            software: Some(text.into()),
            consent: "asked",
            is_trusted: true,
            is_declared: true,
            change: Some(text.into()),
            disconnect: Some(text.into()),
            rotate: Some(text.into()),
            log: text.into(),
        }
    }

    pub(crate) fn new_client(text: &str) -> NewClient {
        NewClient {
            nav: admin(text),
            csrf: text.into(),
            id: text.into(),
            name: text.into(),
            redirect_uris: text.into(),
            method: text.into(),
            scopes: vec![(text.into(), text.into(), true), (text.into(), text.into(), false)],
            wrong: Some(("redirect_uris", text.into())),
        }
    }

    pub(crate) fn secret(text: &str) -> NewSecret {
        NewSecret {
            nav: admin(text),
            title: "The client is added",
            id: text.into(),
            path: text.into(),
            secret: Some(text.into()),
            ended: None,
        }
    }

    #[test]
    fn nothing_is_offered_for_a_client_that_is_over() -> askama::Result<()> {
        let over = ClientPage {
            standing: Standing::Over,
            change: None,
            disconnect: None,
            rotate: None,
            ..client("plain")
        };
        let html = over.render()?;
        for word in ["Suspend<", "Lift", "Disconnect", "Replace secret"] {
            assert!(!html.contains(word), "{word}: {html}");
        }
        Ok(())
    }

    #[test]
    fn a_secret_is_on_its_page_alone() -> askama::Result<()> {
        let page = secret("hunter2");
        assert!(page.render()?.contains("<code class=\"copy\">hunter2</code>"));
        let page = NewSecret { id: "app".into(), ..page };
        assert_eq!(format!("{page:?}"), "NewSecret { id: \"app\", .. }");
        assert_eq!(page.status(), StatusCode::OK);
        let shown = NewSecret { secret: None, ..page };
        let html = shown.render()?;
        assert!(!html.contains("hunter2</code>") && html.contains("shown once"), "{html}");
        assert_eq!(shown.status(), StatusCode::GONE);
        Ok(())
    }

    #[test]
    fn a_wrong_field_is_marked_and_says_what_is_right() -> askama::Result<()> {
        let html = new_client("plain").render()?;
        assert_eq!(html.matches("aria-invalid").count(), 1, "{html}");
        assert_eq!(new_client("plain").status(), StatusCode::BAD_REQUEST);
        let fresh = NewClient { wrong: None, ..new_client("plain") };
        assert!(!fresh.render()?.contains("aria-invalid"));
        Ok(())
    }
}
