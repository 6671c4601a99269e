//! The parameters of an operation, each written once: its name, type, documentation and how it is
//! read are one line of one struct, so that the `OpenAPI` document and the parser cannot drift
//! apart.

/// Declares a struct of query parameters, which is a [`FromQuery`](crate::params::FromQuery).
///
/// ```
/// # use chrono::NaiveDate;
/// # use weirgate_web::page::Paging;
/// # use weirgate_web::parse::TenantName;
/// # use weirgate_web::query_params;
/// query_params! {
///     /// Which parcels.
///     pub struct ParcelQuery {
///         /// The day they were sent on.
///         #[param(example = "2026-01-31")]
///         day: NaiveDate,
///         /// Whose they are.
///         #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
///         tenant_id: Option<TenantName>,
///         /// The heaviest, in kilograms.
///         #[param(minimum = 1, maximum = 30)]
///         most_kg: Option<i64> = |fields, name| fields.in_range(name, 1..=30),
///         ..paging: Paging<i64>,
///     }
/// }
/// ```
///
/// A field is a parameter of its name, read as its type's [`Parse`](crate::parse::Parse) says: one
/// that must be given, or with `Option` one that may be. After `=` stands what reads it instead, an
/// `fn(&mut Fields, &str)`: from an `Option`'s field to that `Option`, else to the value where it
/// could be read. What follows `..` is another struct of parameters, whose own follow.
///
/// The field's documentation and its `#[param(…)]`, as `utoipa::IntoParams` takes it, are the
/// parameter's. Every field ends in a comma.
#[macro_export]
macro_rules! query_params {
    ($(#[$attr:meta])* $vis:vis struct $name:ident { $($fields:tt)* }) => {
        $crate::query_params!(@field { $(#[$attr])* $vis struct $name } {} {} $($fields)*);
    };
    // A parameter that may be left out, with what reads it.
    (@field $head:tt { $($own:tt)* } $parts:tt
        $(#[doc = $doc:tt])* $(#[param($($param:tt)*)])?
        $vis:vis $field:ident: Option<$type:ty> = $read:expr, $($rest:tt)*
    ) => {
        $crate::query_params!(@field $head { $($own)* {
            { $(#[doc = $doc])* $vis $field: Option<$type>, }
            { $(#[doc = $doc])* $(#[param($($param)*)])? #[param(required = false)] $field: $type, }
            { $field = Some($read) }
        } } $parts $($rest)*);
    };
    // A parameter that may be left out.
    (@field $head:tt $own:tt $parts:tt
        $(#[doc = $doc:tt])* $(#[param($($param:tt)*)])?
        $vis:vis $field:ident: Option<$type:ty>, $($rest:tt)*
    ) => {
        $crate::query_params!(@field $head $own $parts
            $(#[doc = $doc])* $(#[param($($param)*)])?
            $vis $field: Option<$type> = $crate::params::Fields::get::<$type>, $($rest)*);
    };
    // One that must be given, with what reads it.
    (@field $head:tt { $($own:tt)* } $parts:tt
        $(#[doc = $doc:tt])* $(#[param($($param:tt)*)])?
        $vis:vis $field:ident: $type:ty = $read:expr, $($rest:tt)*
    ) => {
        $crate::query_params!(@field $head { $($own)* {
            { $(#[doc = $doc])* $vis $field: $type, }
            { $(#[doc = $doc])* $(#[param($($param)*)])? $field: $type, }
            { $field = $read }
        } } $parts $($rest)*);
    };
    // One that must be given.
    (@field $head:tt $own:tt $parts:tt
        $(#[doc = $doc:tt])* $(#[param($($param:tt)*)])?
        $vis:vis $field:ident: $type:ty, $($rest:tt)*
    ) => {
        $crate::query_params!(@field $head $own $parts
            $(#[doc = $doc])* $(#[param($($param)*)])?
            $vis $field: $type = $crate::params::Fields::required::<$type>, $($rest)*);
    };
    // Parameters of another struct.
    (@field $head:tt $own:tt { $($parts:tt)* } ..$vis:vis $part:ident: $type:ty, $($rest:tt)*) => {
        $crate::query_params!(@field $head $own { $($parts)* { $vis $part: $type } } $($rest)*);
    };
    (@field
        { $(#[$attr:meta])* $vis:vis struct $name:ident }
        { $({ { $($declared:tt)* } { $($documented:tt)* } { $($read:tt)* } })* }
        { $({ $part_vis:vis $part:ident: $part_type:ty })* }
    ) => {
        $(#[$attr])*
        #[derive(Debug)]
        $vis struct $name {
            $($($declared)*)*
            $($part_vis $part: $part_type,)*
        }

        $crate::query_params!(@read $name { $({ $($read)* })* } { $({ $part: $part_type })* }
            $($($documented)*)*);
    };
    // Everything is read before anything is missed, so that all that is wrong is told at once.
    (@read $name:ident
        { $({ $field:ident = $($read:tt)* })* } { $({ $part:ident: $part_type:ty })* } $($documented:tt)*
    ) => {
        impl $crate::params::FromQuery for $name {
            fn take(fields: &mut $crate::params::Fields) -> Option<Self> {
                $(let $field = $crate::query_params!(@call fields $field $($read)*);)*
                $(let $part = <$part_type as $crate::params::FromQuery>::take(fields);)*
                Some(Self { $($field: $field?,)* $($part: $part?,)* })
            }

            fn parameters() -> Vec<utoipa::openapi::path::Parameter> {
                [
                    $crate::query_params!(@documented $($documented)*),
                    $(<$part_type as $crate::params::FromQuery>::parameters(),)*
                ]
                .concat()
            }
        }
    };
    (@documented) => { Vec::new() };
    (@documented $($documented:tt)+) => {{
        #[derive(utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[expect(dead_code, reason = "it documents what the struct of the same fields reads")]
        struct Documented { $($documented)+ }

        <Documented as utoipa::IntoParams>::into_params(|| None)
    }};
    (@call $fields:ident $field:ident Some($read:expr)) => {
        Some($crate::params::read($fields, stringify!($field), $read))
    };
    (@call $fields:ident $field:ident $read:expr) => {
        $crate::params::read($fields, stringify!($field), $read)
    };
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use crate::page::Paging;
    use crate::params::{Fields, FromQuery};

    query_params! {
        /// Which parcels.
        struct ParcelQuery {
            /// The day they were sent on.
            #[param(example = "2026-01-31")]
            day: NaiveDate,
            /// How heavy they are at most.
            #[param(minimum = 1, maximum = 30)]
            most_kg: Option<i64> = |fields, name| fields.in_range(name, 1..=30),
            fragile: Option<bool>,
            ..paging: Paging<i64>,
        }
    }

    #[test]
    fn parameters_are_read_as_they_are_declared() {
        let mut fields = Fields::of(Some("day=2026-01-31&fragile=true&limit=7"));
        let query = ParcelQuery::take(&mut fields).unwrap();
        assert_eq!(query.day.to_string(), "2026-01-31");
        assert_eq!((query.most_kg, query.fragile, query.paging.limit()), (None, Some(true), 7));
        assert!(fields.finish(Some(())).is_ok());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut fields = Fields::of(Some("most_kg=31&fragile=maybe&limit=0"));
        assert!(ParcelQuery::take(&mut fields).is_none());
        let (_, errors) = fields.finish(Some(())).unwrap_err().by_field("tenant_id").unwrap();
        let wrong: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(wrong, ["day", "most_kg", "fragile", "limit"]);
    }

    #[test]
    fn parameters_are_documented_as_they_are_declared() {
        let documented = serde_json::to_value(ParcelQuery::parameters()).unwrap();
        let of = |member: &str| -> Vec<_> {
            documented.as_array().unwrap().iter().map(|parameter| parameter[member].clone()).collect()
        };
        assert_eq!(of("name"), ["day", "most_kg", "fragile", "limit", "cursor"]);
        assert_eq!(of("required"), [true, false, false, false, false]);
        assert_eq!(of("in"), ["query"; 5]);
        assert_eq!(documented[0]["description"], "The day they were sent on.");
        assert_eq!(documented[1]["schema"]["maximum"], 30);
        assert_eq!(documented[2]["schema"]["type"], "boolean");
    }
}
