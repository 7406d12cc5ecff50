//! Enums whose variants have one stable name each: error codes, reasons, kinds of events, grant
//! types.
//!
//! A name is what goes over the wire or into a log, and never changes. The macros give each enum
//! `ALL`, `from_name`, `Display`, `AsRef<str>`, `FromStr` and `Serialize`, all by that name.

/// A text that is not the name of any value of the type it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the name of {expected}")]
pub struct NameError {
    pub(crate) expected: &'static str,
}

/// Implements reading and printing by name. The type has `ALL` and a method of the given name that
/// returns the name of a value.
macro_rules! impl_name_texts {
    ($Type:ident, $name:ident, $expected:literal) => {
        impl $Type {
            /// Returns the value of this name, or `None` if no value has it.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.$name() == name)
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.$name())
            }
        }

        impl AsRef<str> for $Type {
            fn as_ref(&self) -> &str {
                self.$name()
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::value::names::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_name(text).ok_or($crate::value::names::NameError { expected: $expected })
            }
        }
    };
}

/// Implements reading, printing and serializing by name.
macro_rules! impl_names {
    ($Type:ident, $name:ident, $expected:literal) => {
        $crate::value::names::impl_name_texts!($Type, $name, $expected);

        /// Serializes the name.
        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$name())
            }
        }
    };
}

/// Declares an enum of names. After the name of the type come the method that returns a value's
/// name, and what a value is called in a [`NameError`].
macro_rules! named_enum {
    ($(#[$meta:meta])* pub enum $Type:ident, $name:ident, $expected:literal {
        $($(#[$doc:meta])* $Variant:ident = $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $Type {
            $($(#[$doc])* $Variant,)+
        }

        impl $Type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// Returns the stable name.
            pub const fn $name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $text,)+
                }
            }
        }

        $crate::value::names::impl_names!($Type, $name, $expected);
    };
}

pub(crate) use impl_name_texts;
pub(crate) use impl_names;
pub(crate) use named_enum;
