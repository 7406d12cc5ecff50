//! CONSENT-06: who is no user.

use grantcore::User;
use grantcore::request::UserError;

use crate::support::ALICE;

/// An empty session is in every browser, and users without a name would be one user.
#[test]
fn consent_06_nobody_and_no_session_make_no_user() {
    assert_eq!(
        [
            User::new("alice", b"").err(),
            User::new("", b"a browser").err(),
            User::new("", b"").err()
        ],
        [
            Some(UserError::SessionEmpty),
            Some(UserError::SubjectEmpty),
            Some(UserError::SubjectEmpty)
        ]
    );
    assert_eq!(
        UserError::SessionEmpty.to_string(),
        "the session is empty: it binds the consent page to the browser that saw it \
         (RFC 6749 §10.12), and an empty one binds it to every browser. Pass the secret id of the \
         browser's session."
    );
    assert_eq!(
        UserError::SubjectEmpty.to_string(),
        "the subject is empty: it names the user's account, and all grants of one subject belong to \
         one user. Pass the account's stable name, or no user if nobody is signed in."
    );
    assert!(!format!("{ALICE:?}").contains("browser"), "the session's secret is not shown");
}
