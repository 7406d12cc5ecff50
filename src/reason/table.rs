//! The rows, in blocks: `at` the faces where they can occur, and whether the authorization endpoint
//! may tell them `by redirect`. A row is `Variant "name" Code "section" "description for the
//! client" "cause" "fix"`.
//!
//! Each file hands its blocks on to the next one, so that all of them become one enum.

mod any;
mod authorization;
mod registration;
mod resource;
mod token;

use self::any::any_rows;
use self::authorization::authorization_rows;
use self::registration::registration_rows;
use self::resource::resource_rows;
use self::token::token_rows;
use super::{Endpoint, ErrorCode, Row};

any_rows! { authorization_rows token_rows resource_rows registration_rows reasons => }
