//! The rows of the error table, in blocks. A block names the endpoints where its reasons can occur
//! (`at`), and whether the authorization endpoint may send them to the client (`also by redirect`).
//!
//! A row has the variant, its name, and then by label: `code` (the [`ErrorCode`], or `None`),
//! `section` (of the specification), `description` (for the client), `cause` and `fix` (for the
//! operator). Descriptions go over the wire; clients and tests compare them byte for byte.
//!
//! Each file appends its blocks and calls the next file's macro, so that all rows become one enum.

mod any;
mod assertion;
mod authentication;
mod authorization;
mod introspection;
mod registration;
mod resource;
mod revocation;
mod token;

use self::any::any_rows;
use self::assertion::assertion_rows;
use self::authentication::authentication_rows;
use self::authorization::authorization_rows;
use self::introspection::introspection_rows;
use self::registration::registration_rows;
use self::resource::resource_rows;
use self::revocation::revocation_rows;
use self::token::token_rows;
use super::{Endpoint, ErrorCode};

/// One row.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) section: &'static str,
    pub(super) code: Option<ErrorCode>,
    pub(super) description: &'static str,
    pub(super) cause: &'static str,
    pub(super) fix: &'static str,
}

/// Makes the enum and its rows of all blocks.
macro_rules! reasons {
    (@redirects) => { false };
    (@redirects $also:ident) => { true };
    (@code None) => { None };
    (@code $code:ident) => { Some(ErrorCode::$code) };
    (=> $(at $($endpoint:ident),+ $(; $also:ident by redirect)? {
        $($variant:ident $name:literal {
            code: $code:ident,
            section: $section:literal,
            description: $description:literal,
            cause: $cause:literal,
            fix: $fix:literal,
        })*
    })*) => {
        /// The rule that a request broke.
        ///
        /// A reason is for the operator and the log. The client receives only its
        /// [code](Self::code) and [description](Self::description), which several reasons can
        /// share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = concat!("`", $name, "`: ", $cause, " (", $section, ")")] $variant,)*)*
        }

        impl Reason {
            /// Every reason, in the table's order.
            pub const ALL: &'static [Self] = &[$($(Self::$variant),*),*];

            /// Returns the endpoints where the reason can occur.
            pub fn endpoints(self) -> &'static [Endpoint] {
                match self {
                    $($(Self::$variant)|* => &[$(Endpoint::$endpoint),+],)*
                }
            }

            /// Returns whether the authorization endpoint may send the error to the client's
            /// verified redirect URI. If not, the error is shown on a page only.
            pub fn is_redirectable(self) -> bool {
                match self {
                    $($(Self::$variant)|* => reasons!(@redirects $($also)?),)*
                }
            }

            pub(super) fn row(self) -> Row {
                match self {
                    $($(Self::$variant => Row {
                        name: $name,
                        section: $section,
                        code: reasons!(@code $code),
                        description: $description,
                        cause: $cause,
                        fix: $fix,
                    },)*)*
                }
            }
        }
    };
}

any_rows! {
    authorization_rows authentication_rows token_rows assertion_rows revocation_rows introspection_rows
    resource_rows registration_rows reasons =>
}
