//! Resource templates: a resource whose host labels or path segments are known at run time.
//!
//! A template is matched label by label and segment by segment, never as one text: a value cannot
//! reach over a boundary (RFC 8707 §2).

use crate::value::uri::{Uri, is_server_url};

/// The most variables of a template.
const VARIABLE_LIMIT: usize = 4;
/// The longest value in a path, in bytes.
const SEGMENT_LIMIT: usize = 64;
/// The longest value in a host, in bytes (RFC 1035 §2.3.4).
const LABEL_LIMIT: usize = 63;

/// The reason why a resource is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A variable stands beside other text, or has a malformed name.
    #[error(
        "a variable is one whole label of the host or one whole segment of the path, {{name}}, and \
         its name is 1 to 32 letters, digits and underscores"
    )]
    Variable,
    /// A variable stands in the scheme, the port, the userinfo or the query, or the template has a
    /// query.
    #[error("a template has variables in its host and its path alone, and no query")]
    Place,
    /// Two variables have one name.
    #[error("a variable occurs twice")]
    Repeated,
    /// There are more variables than four.
    #[error("a template has at most 4 variables")]
    TooMany,
    /// The variable of the host reaches into a domain of others.
    #[error(
        "at least two labels without a variable stand to the right of a variable in the host, so \
         that nobody else's domain is an instance"
    )]
    Host,
    /// The URL could be no resource, whatever the variables are.
    #[error(
        "a resource is an https URL with a host, and without user, password and fragment (RFC 9728 \
         §1.2)"
    )]
    Url,
}

/// A label of the host or a segment of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

/// A resource identifier by its parts. A resource without variables has literal parts alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    scheme: String,
    host: Vec<Part>,
    port: Option<String>,
    path: Vec<Part>,
    /// Whether an empty path is written as a slash.
    has_root_slash: bool,
    /// Whether a label of the host may be an international name in its ASCII form.
    allows_punycode: bool,
}

/// A concrete resource identifier that matches a template.
pub(crate) struct Instance {
    /// In the template's spelling.
    pub(crate) identifier: String,
    pub(crate) variables: Vec<(String, String)>,
}

impl Template {
    /// Parses a resource with at least one brace. Returns `None` for any other.
    pub(crate) fn parse(
        identifier: &str,
        allows_punycode: bool,
        loopback_http: bool,
    ) -> Option<Result<Self, TemplateError>> {
        identifier.contains(['{', '}']).then(|| {
            Self::read(identifier, allows_punycode).and_then(|own| own.checked(loopback_http))
        })
    }

    /// Returns the parts of a resource without variables, to compare it with templates.
    pub(crate) fn of_literal(identifier: &str) -> Option<Self> {
        Self::read(identifier, true).ok()
    }

    fn read(identifier: &str, allows_punycode: bool) -> Result<Self, TemplateError> {
        let uri = Uri::split(identifier).ok_or(TemplateError::Place)?;
        let authority = uri.authority().ok_or(TemplateError::Url)?;
        let path = uri.path_and_query();
        if uri.has_userinfo() || path.contains(['?', '#']) {
            return Err(TemplateError::Place);
        }
        let port = uri.port();
        if port.is_some_and(|port| port.contains(['{', '}'])) {
            return Err(TemplateError::Place);
        }
        let labels = if authority.starts_with('[') {
            vec![Part::Literal(uri.host().to_ascii_lowercase())]
        } else {
            uri.host().split('.').map(|label| Part::read(label, true)).collect::<Result<_, _>>()?
        };
        let segments = segments(path).into_iter();
        Ok(Self {
            scheme: uri.scheme().to_ascii_lowercase(),
            host: labels,
            port: port.map(str::to_owned),
            path: segments.map(|segment| Part::read(segment, false)).collect::<Result<_, _>>()?,
            has_root_slash: path == "/",
            allows_punycode,
        })
    }

    /// Checks the rules of templates.
    fn checked(self, loopback_http: bool) -> Result<Self, TemplateError> {
        let names: Vec<&str> = self.variables().collect();
        if names.len() > VARIABLE_LIMIT {
            return Err(TemplateError::TooMany);
        }
        if names
            .iter()
            .enumerate()
            .any(|(at, name)| names.iter().skip(at + 1).any(|own| own == name))
        {
            return Err(TemplateError::Repeated);
        }
        let last = self.host.iter().rposition(|part| matches!(part, Part::Variable(_)));
        if last.is_some_and(|last| self.host.len() - last <= 2) {
            return Err(TemplateError::Host);
        }
        let sample = self.spelled(|_| "a");
        if is_server_url(&sample, loopback_http) { Ok(self) } else { Err(TemplateError::Url) }
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        self.host.iter().chain(&self.path).filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Returns the identifier with these values.
    fn spelled<'a>(&'a self, value: impl Fn(&'a str) -> &'a str) -> String {
        let text = |part: &'a Part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Variable(name) => value(name),
        };
        let mut spelled = format!("{}://", self.scheme);
        spelled.push_str(&self.host.iter().map(text).collect::<Vec<_>>().join("."));
        if let Some(port) = &self.port {
            spelled.push(':');
            spelled.push_str(port);
        }
        for segment in &self.path {
            spelled.push('/');
            spelled.push_str(text(segment));
        }
        if self.has_root_slash {
            spelled.push('/');
        }
        spelled
    }

    /// Returns the instance that this text names. The whole text must match: neither more labels
    /// nor more segments, no other port, no query and no userinfo.
    pub(crate) fn instance(&self, text: &str) -> Option<Instance> {
        let uri = Uri::split(text)?;
        let path = uri.path_and_query();
        let is_plain = !uri.has_userinfo() && !path.contains(['?', '#', '\\', '%']);
        if !is_plain
            || !uri.scheme().eq_ignore_ascii_case(&self.scheme)
            || uri.port() != self.port.as_deref()
            || uri.authority()?.contains('\\')
        {
            return None;
        }
        let mut variables = self.host_variables(uri.host())?;
        variables.extend(self.path_variables(path)?);
        let value = |name: &str| {
            let found = variables.iter().find(|(own, _)| own == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        Some(Instance { identifier: self.spelled(value), variables })
    }

    /// Returns the instance that a URL is of, or is below: the first segments of its path are those
    /// of the template. A query is left out.
    pub(crate) fn instance_above(&self, url: &str) -> Option<Instance> {
        let uri = Uri::split(url)?;
        let path = uri.path_and_query();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let above: Vec<&str> = segments(path).into_iter().take(self.path.len()).collect();
        let slash = if above.is_empty() { "" } else { "/" };
        self.instance(&[uri.origin(), slash, &above.join("/")].concat())
    }

    /// Returns the variables of the host with their values in lower case, or `None` if the host
    /// does not match.
    fn host_variables(&self, host: &str) -> Option<Vec<(String, String)>> {
        if let [Part::Literal(literal)] = self.host.as_slice() {
            return literal.eq_ignore_ascii_case(host).then(Vec::new);
        }
        let labels: Vec<&str> = host.split('.').collect();
        let is_literal = |literal: &str, label: &str| literal.eq_ignore_ascii_case(label);
        let value = |label: &str| {
            let value = label.to_ascii_lowercase();
            let is_foreign = value.starts_with("xn--") && !self.allows_punycode;
            (is_label(&value) && !is_foreign).then_some(value)
        };
        match_parts(&self.host, &labels, is_literal, value)
    }

    /// Returns the variables of the path with their values, or `None` if the path does not match.
    fn path_variables(&self, path: &str) -> Option<Vec<(String, String)>> {
        let is_literal = |literal: &str, segment: &str| literal == segment;
        let value = |segment: &str| is_segment(segment).then(|| segment.to_owned());
        match_parts(&self.path, &segments(path), is_literal, value)
    }

    /// Returns whether some identifier is an instance of both. A slash at the end does not count,
    /// because the two would have their metadata document at one URL (RFC 9728 §3.1).
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let meet = |one: &[Part], other: &[Part], is_value: fn(&str) -> bool| {
            one.len() == other.len()
                && one.iter().zip(other).all(|pair| match pair {
                    (Part::Variable(_), Part::Variable(_)) => true,
                    (Part::Literal(literal), Part::Variable(_))
                    | (Part::Variable(_), Part::Literal(literal)) => is_value(literal),
                    (Part::Literal(one), Part::Literal(other)) => one == other,
                })
        };
        self.scheme == other.scheme
            && self.port == other.port
            && meet(&self.host, &other.host, is_label)
            && meet(without_last_slash(&self.path), without_last_slash(&other.path), is_segment)
    }
}

impl Part {
    fn read(text: &str, is_host: bool) -> Result<Self, TemplateError> {
        if !text.contains(['{', '}']) {
            let literal = if is_host { text.to_ascii_lowercase() } else { text.to_owned() };
            return Ok(Self::Literal(literal));
        }
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let is_name = |name: &&str| {
            (1..=32).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let name = name.filter(is_name).ok_or(TemplateError::Variable)?;
        Ok(Self::Variable(name.to_owned()))
    }
}

/// Compares each part with a text, and returns the variables with their values. `value` returns the
/// value of a variable that has this text, or `None` if none has it.
fn match_parts(
    parts: &[Part],
    texts: &[&str],
    is_literal: impl Fn(&str, &str) -> bool,
    value: impl Fn(&str) -> Option<String>,
) -> Option<Vec<(String, String)>> {
    if parts.len() != texts.len() {
        return None;
    }
    let mut variables = Vec::new();
    for (part, text) in parts.iter().zip(texts) {
        match part {
            Part::Literal(literal) if is_literal(literal, text) => {}
            Part::Literal(_) => return None,
            Part::Variable(name) => variables.push((name.clone(), value(text)?)),
        }
    }
    Some(variables)
}

/// Returns the segments of a path. An empty path and a single slash have none.
fn segments(path: &str) -> Vec<&str> {
    match path.strip_prefix('/') {
        None | Some("") => Vec::new(),
        Some(rest) => rest.split('/').collect(),
    }
}

fn without_last_slash(path: &[Part]) -> &[Part] {
    match path {
        [rest @ .., Part::Literal(last)] if last.is_empty() => rest,
        path => path,
    }
}

/// Returns whether this is one label of a host: letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    (1..=LABEL_LIMIT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns whether this is one segment of unreserved characters (RFC 3986 §2.3), and no dot
/// segment.
fn is_segment(text: &str) -> bool {
    (1..=SEGMENT_LIMIT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
        && !matches!(text, "." | "..")
}
