//! Form parameters in order, with one method for each change of a valid request.

use super::{CALLBACK, CHALLENGE, SECRET, VERIFIER};

#[derive(Clone, Debug)]
pub struct Params(pub Vec<(String, String)>);

impl Params {
    fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Returns a valid authorization request of the client `app`: scope `read write`, state `xyz`.
    pub fn authorize() -> Self {
        Self::of(&[
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("scope", "read write"),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
    }

    /// Returns the redemption of a code by the client `app`.
    pub fn redeem(code: &str) -> Self {
        Self::of(&[
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", VERIFIER),
        ])
    }

    /// Returns a refresh by the client `app`.
    pub fn refresh(token: &str) -> Self {
        Self::of(&[("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)])
    }

    /// Returns a request of a client on its own behalf. The client authenticates by header.
    pub fn machine() -> Self {
        Self::of(&[("grant_type", "client_credentials")])
    }

    /// Changes the client to `web`, with its secret if the request goes to the token endpoint.
    pub fn by_web(self) -> Self {
        let has = |name: &str| self.0.iter().any(|(own, _)| own == name);
        let redirects = has("redirect_uri");
        let authenticates = has("grant_type");
        let mut own = self.set("client_id", "web");
        if redirects {
            own = own.set("redirect_uri", "https://web.example/cb");
        }
        if authenticates { own.set("client_secret", SECRET) } else { own }
    }

    /// Sets a parameter in its place, or adds it at the end.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => value.clone_into(own),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self
    }

    /// Adds a parameter, also if the request has it already.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn encode(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}
