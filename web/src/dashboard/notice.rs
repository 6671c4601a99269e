//! Something that the overview tells, and the pages that it leads to.

use askama::Template;
use az::SaturatingAs;

/// So many of each are named; the link leads to all.
pub const NAMED: i64 = 3;

/// Something to see to.
pub struct Notice {
    /// A sentence.
    pub text: String,
    /// Where that is shown.
    pub link: String,
}

/// Notices as items of a list.
#[derive(Template)]
#[template(path = "notices.html")]
pub struct Notices {
    /// Each of them.
    pub notices: Vec<Notice>,
}

/// The page of all tenants that something is so with.
pub fn tenants(show: &str) -> String {
    format!("/dashboard/tenants?show={show}")
}

/// Some names, and how many more there are.
pub fn named(names: &[String], total: i64) -> String {
    let more = total - names.len().saturating_as::<i64>();
    match (names, more) {
        ([], _) => String::new(),
        (names, 1..) => format!("{} and {} more", names.join(", "), more),
        ([one], _) => one.clone(),
        ([first @ .., last], _) => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_first_are_named_and_the_others_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(named(&names[..1], 1), "a");
        assert_eq!(named(&names[..2], 2), "a and b");
        assert_eq!(named(&names, 3), "a, b and c");
        assert_eq!(named(&names, 12), "a, b, c and 9 more");
    }
}
