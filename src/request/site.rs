//! Which site sent the browser here: the header `Sec-Fetch-Site` of a request.

/// The site whose page sent the browser to this server, as the browser states it in
/// `Sec-Fetch-Site`. No page can change the header.
///
/// ```
/// use grantcore::request::Site;
///
/// let values: Vec<&[u8]> = vec![b"cross-site"];
/// assert_eq!(values.into_iter().collect::<Site>(), Site::CrossSite);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "Fetch Metadata defines these, and a header is absent")]
pub enum Site {
    /// The header is absent, repeated or unknown.
    #[default]
    Unknown,
    /// A page of this server.
    SameOrigin,
    /// A page of another host of this site.
    SameSite,
    /// A page of another site.
    CrossSite,
    /// No page: the user typed the address, opened a bookmark, or came from another application.
    None,
}

impl<'a> FromIterator<&'a [u8]> for Site {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (Some(b"same-origin"), None) => Self::SameOrigin,
            (Some(b"same-site"), None) => Self::SameSite,
            (Some(b"cross-site"), None) => Self::CrossSite,
            (Some(b"none"), None) => Self::None,
            _ => Self::Unknown,
        }
    }
}

#[cfg(feature = "http")]
impl From<&http::HeaderMap> for Site {
    /// Takes the `Sec-Fetch-Site` header of a request.
    fn from(headers: &http::HeaderMap) -> Self {
        headers.get_all("sec-fetch-site").iter().map(http::HeaderValue::as_bytes).collect()
    }
}
