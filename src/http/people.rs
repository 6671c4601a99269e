//! What pages say of people: their roles in words, the languages that they are written to in, and
//! what is wrong with what was given of them.

use std::borrow::Cow;

use weirgate_identity::accounts::AccountsError;
use weirgate_identity::memberships::Membership;
use weirgate_identity::platform;
use weirgate_identity::roles::Roles;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::problem::{FieldError, Problem};

/// Languages that are offered, each by its own name. Any other can be given by commands.
const LANGUAGES: [(&str, &str); 12] = [
    ("en", "English"),
    ("ar", "العربية"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt-BR", "Português (Brasil)"),
    ("tr", "Türkçe"),
    ("zh", "中文"),
];

/// What a field offers, with the one that is chosen though it is none of the usual.
pub(super) fn languages(chosen: &str) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
    let usual = LANGUAGES.map(|(tag, name)| (Cow::from(tag), Cow::from(name)));
    let other = !chosen.is_empty() && LANGUAGES.iter().all(|(tag, _)| *tag != chosen);
    let other = other.then(|| (Cow::from(chosen.to_owned()), Cow::from(chosen.to_owned())));
    usual.into_iter().chain(other).collect()
}

/// The language of that tag, for people.
pub(super) fn language(tag: &str) -> &str {
    LANGUAGES.iter().find(|(known, _)| *known == tag).map_or(tag, |(_, name)| name)
}

/// A role that somebody has.
pub(super) struct RoleRow {
    /// The domain, for people.
    pub(super) app: String,
    pub(super) role: String,
    /// What who has it does.
    pub(super) text: String,
    /// The tenant, by name and slug, where it is about one.
    pub(super) tenant: Option<(String, String)>,
    /// Whether it is for the dashboard.
    pub(super) is_platform: bool,
}

impl RoleRow {
    pub(super) fn new(membership: Membership, known: &Roles) -> Self {
        let Membership { app, role, tenant, .. } = membership;
        Self {
            text: role_in_words(&app, &role, known),
            app: app_in_words(&app, known),
            is_platform: app == platform::APP,
            role,
            tenant: tenant.map(|it| (it.name, it.slug)),
        }
    }
}

/// What who has a role does, by itself: a role that lets one also do something has all that those
/// before it let one do.
pub(super) fn role_in_words(app: &str, role: &str, known: &Roles) -> String {
    let roles = known.app(app).map_or(&[][..], |app| app.roles);
    let Some(at) = roles.iter().position(|it| it.name == role) else { return "not served here".to_owned() };
    let first = roles[..=at].iter().rposition(|it| !it.text.starts_with("also ")).unwrap_or(at);
    roles[first..=at].iter().map(|role| role.text).collect::<Vec<_>>().join("; ")
}

/// What an app is, for people; its name where this process does not serve it.
pub(super) fn app_in_words(app: &str, known: &Roles) -> String {
    let text = known.app(app).map_or(app, |it| it.text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What is wrong with a field of an account.
///
/// # Errors
/// The page that says that something does not work, where it is of no field's making.
pub(super) fn problem_of_account(error: AccountsError) -> Result<Problem, Refusal> {
    match (error.field(), error) {
        (Some(field), error) => {
            Ok(Problem::invalid(vec![FieldError { field: field.to_owned(), message: error.to_string() }]))
        }
        (None, AccountsError::Database(error)) => Err(error.into()),
        (None, error) => {
            tracing::error!(%error, "an account could not be changed");
            Err(Problem::internal().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_is_not_offered_stays_chosen() {
        assert_eq!(languages("fr").len(), LANGUAGES.len());
        assert_eq!(languages("sv-FI").last().unwrap().0, "sv-FI");
        assert_eq!(language("fr"), "Français");
        assert_eq!(language("sv-FI"), "sv-FI");
    }
    #[test]
    fn a_role_is_told_with_all_that_it_lets_one_do() {
        let known = Roles::new([]);
        let words = |role| role_in_words(platform::APP, role, &known);
        assert_eq!(words("viewer"), "looks at everything");
        let operator = "looks at everything; also acts on jobs, queues and tenants' lanes";
        assert_eq!(words("operator"), operator);
        assert!(words("admin").starts_with(&format!("{operator}; also sets limits")));
        assert_eq!(words("chief"), "not served here");
        assert_eq!(app_in_words("platform", &known), "The dashboard");
        assert_eq!(app_in_words("desk", &known), "Desk");
    }
}
