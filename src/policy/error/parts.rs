//! Why the resources, the issuers, the hosts or the added members of a policy are refused.

use super::super::members::MemberError;
use super::super::template::TemplateError;
use crate::value::text::log_text;

/// The reason why several issuers cannot have these rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuersError {
    /// An endpoint is not below the issuer, so that it has no place below another one.
    #[error(
        "{endpoint} '{}' is refused: it is not below the issuer, so that two issuers would share \
         it. Leave {endpoint}() out, or name a URL below the issuer, before Policy::at().",
        log_text(url)
    )]
    Endpoint {
        /// The metadata's name of the endpoint.
        endpoint: &'static str,
        /// The URL.
        url: String,
    },
    /// Two issuers have a document at one URL.
    #[error(
        "issuer '{}' is refused: its metadata document would be at '{}', where that of another \
         issuer is. Give the issuers different paths or hosts in Policy::at().",
        log_text(issuer),
        log_text(url)
    )]
    Document {
        /// The second issuer.
        issuer: String,
        /// The URL of both documents.
        url: String,
    },
    /// A former issuer is not a URL that could be one, or is the present one.
    #[error(
        "former_issuer '{}' is refused: it is the issuer that records have from before, byte for \
         byte, and not the present one. Correct it, or leave former_issuer() out.",
        log_text(issuer)
    )]
    Former {
        /// The issuer as it was given.
        issuer: String,
    },
}

/// The reason why a resource, or its description, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourcesError {
    /// The resource is not a template that can be matched safely.
    #[error(
        "resource '{}' is refused: {error}. Correct the argument of resource().",
        log_text(resource)
    )]
    Template {
        /// The template as it was given.
        resource: String,
        /// The rule.
        error: TemplateError,
    },
    /// An identifier could be an instance of this template and of another, or be another resource.
    #[error(
        "resource '{}' is refused: some identifiers would be both of it and of '{}'. Change one of \
         the two, so that they differ in a part without a variable.",
        log_text(resource),
        log_text(other)
    )]
    Overlap {
        /// The second of the two.
        resource: String,
        /// The first of the two.
        other: String,
    },
    /// A description is of a resource that the policy does not have.
    #[error(
        "describe_resource '{}' is refused: the policy has no such resource. Name one as resource() \
         has it, byte for byte.",
        log_text(resource)
    )]
    Undeclared {
        /// The identifier as it was given.
        resource: String,
    },
    /// A page of the description is not at an `https` URL.
    #[error(
        "{member} '{}' of resource '{}' is refused: a page is at an https URL of at most 2048 URI \
         characters, with a host and without user and password. Correct it in ResourceDescription.",
        log_text(url),
        log_text(resource)
    )]
    Page {
        /// The identifier of the resource.
        resource: String,
        /// The name of the member.
        member: &'static str,
        /// The URL as it was given.
        url: String,
    },
    /// Another authorization server of the description is no issuer, or is named before.
    #[error(
        "also_issued_by '{}' of resource '{}' is refused: it is the issuer of another authorization \
         server, in its canonical spelling, and is named once. Correct it in ResourceDescription.",
        log_text(issuer),
        log_text(resource)
    )]
    Issuer {
        /// The identifier of the resource.
        resource: String,
        /// The issuer as it was given.
        issuer: String,
    },
    /// A member of the description cannot be added.
    #[error(
        "member '{}' of resource '{}' is refused: {error}. Correct it in ResourceDescription.",
        log_text(member),
        log_text(resource)
    )]
    Member {
        /// The identifier of the resource.
        resource: String,
        /// The name of the member.
        member: String,
        /// The rule.
        error: MemberError,
    },
}
