//! The faults of an assertion.

use std::fmt;

macro_rules! faults {
    ($($variant:ident $name:literal $text:literal,)*) => {
        /// A fault of an assertion. Only the first one is reported.
        ///
        /// The host finds it in the event. The client gets the same response for every fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $(
                #[doc = concat!("The assertion is refused because ", $text, ".")]
                $variant,
            )*
        }

        impl Fault {
            /// All faults.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name of the fault, for logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

faults! {
    Malformed "malformed" "it is no JWT in the compact form, or a member has a wrong type or size",
    Type "typ" "its `typ` is that of another kind of token",
    Algorithm "algorithm" "its algorithm is not allowed, or its key has another one",
    Key "key" "no key, or more than one, fits its header",
    Signature "signature" "its signature is wrong",
    Issuer "issuer" "its `iss` is missing or another one",
    Subject "subject" "its `sub` is missing or another one",
    Audience "audience" "its `aud` is not exactly this server",
    Expired "expired" "its `exp` is missing or past",
    Early "early" "its `nbf` or `iat` is ahead",
    LongLived "long_lived" "its `exp` is too far ahead",
    Jti "jti" "its `jti` is missing, too long or no string",
    Replayed "replayed" "it has been used before",
    Claim "claim" "another of its claims is missing or cannot be accepted",
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the assertion is refused because {}", self.text())
    }
}

/// The name of the fault. `Display` has a sentence.
impl AsRef<str> for Fault {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// A text from an assertion, for `Debug`: escaped and cut.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::value::text::log_text(self.0))
    }
}
