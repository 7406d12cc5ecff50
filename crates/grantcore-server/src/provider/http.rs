//! The calls of the provider: limited in time and size, without redirects, and over TLS.
//!
//! The operator names the provider, and the provider's document names the other addresses. So they
//! are not restricted to public addresses, unlike those of client documents: a provider may be in
//! the network of the operator.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::ProviderError;
use crate::config::is_safe;

/// The time of one call, from the look-up of the name to the last byte. A user waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest body that is read, in bytes. Documents and keys have a few KiB.
const LONGEST: usize = 256 * 1024;

const USER_AGENT: &str = concat!("grantcore-server/", env!("CARGO_PKG_VERSION"));

/// The client of the provider.
pub(super) struct Http {
    client: Client,
    /// Whether http is allowed on this machine.
    is_local: bool,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0} is not https")]
    NotSafe(String),
    #[error("status {0} at {1}, and redirects are not followed")]
    Redirect(u16, String),
    #[error("the response is longer than {LONGEST} bytes")]
    TooLarge,
    #[error("{0}{cause}", cause = cause(.0))]
    Failed(#[source] reqwest::Error),
    #[error("the response cannot be read: {0}")]
    Response(#[from] openidconnect::http::Error),
}

impl Http {
    /// Returns a client that trusts the authorities of browsers, and those of this file.
    pub(super) fn new(is_local: bool, authority: Option<&Path>) -> Result<Self, ProviderError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(authority)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(1)
            .user_agent(USER_AGENT)
            .build();
        let client = client.map_err(|error| ProviderError::Client(error.to_string()))?;
        Ok(Self { client, is_local })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let url = request.url();
        if !is_safe(url) || (url.scheme() == "http" && !self.is_local) {
            return Err(HttpError::NotSafe(place(url)));
        }
        let at = place(url);
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(HttpError::Redirect(status.as_u16(), at));
        }
        let mut head = openidconnect::http::Response::builder().status(status.as_u16());
        if let Some(headers) = head.headers_mut() {
            headers.clone_from(response.headers());
        }
        Ok(head.body(read(response).await?)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Reads the body, up to [`LONGEST`].
async fn read(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(data) = response.chunk().await.map_err(failed)? {
        if body.len() + data.len() > LONGEST {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// Returns an error without the URL, which is logged apart.
fn failed(error: reqwest::Error) -> HttpError {
    HttpError::Failed(error.without_url())
}

/// Returns the cause of an error, which its own text does not have.
fn cause(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!(": {next}");
        cause = next.source();
    }
    text
}

/// Returns a URL without its query.
fn place(url: &url::Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Returns the TLS settings. The roots are compiled in, so that a server starts in an image without
/// `ca-certificates`.
fn tls(authority: Option<&Path>) -> Result<ClientConfig, ProviderError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = authority {
        let refused = |why: &dyn std::fmt::Display| {
            ProviderError::Authority(path.to_owned(), why.to_string())
        };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| refused(&e))? {
            let certificate = certificate.map_err(|e| refused(&e))?;
            roots.add(certificate).map_err(|e| refused(&e))?;
        }
        if roots.len() == before {
            return Err(refused(&"no certificate in it"));
        }
    }
    let installed = rustls::crypto::CryptoProvider::get_default().map(Arc::clone);
    let provider = installed.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ProviderError::Client(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_https_is_called_and_http_on_this_machine_in_a_trial() {
        let call = async |is_local: bool, url: &str| {
            let request = openidconnect::http::Request::builder().uri(url).body(Vec::new());
            let http = Http::new(is_local, None).unwrap();
            http.send(request.unwrap()).await.unwrap_err().to_string()
        };
        for (is_local, url) in [
            (true, "http://idp.example/keys"),
            (false, "http://127.0.0.1:1/keys"),
            (true, "ftp://127.0.0.1/keys"),
        ] {
            let refused = call(is_local, url).await;
            assert!(refused.ends_with("is not https"), "{refused}");
        }
        let refused = call(true, "http://127.0.0.1:1/keys?secret=x").await;
        assert!(!refused.contains("https") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn an_authority_without_a_certificate_is_refused_by_its_name() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        for path in [empty.path(), Path::new("/no/such/file")] {
            let Err(refused) = Http::new(false, Some(path)) else { panic!("{path:?} is accepted") };
            let expected = format!("--provider-authority {}: ", path.display());
            assert!(refused.to_string().starts_with(&expected), "{refused}");
        }
    }
}
