//! The JSON object of a body, as it is written: with members that are given twice, and blank ones.
//!
//! Clients such as n8n send every value as a text, and rows of a form that nobody has filled in. So
//! a number and a boolean may be a text where the meaning is plain, a blank text counts as not
//! given, equal values given twice are one, and a member without a name and a value is passed over.
//! What is wrong is told in words for people.

use std::collections::HashMap;
use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;

use crate::params::is_blank;
use crate::parse::{Parse, whole, whole_number};

/// A value of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Member>),
    /// In the order given.
    Object(Vec<(String, Member)>),
}

impl Member {
    fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if is_blank(text))
    }

    fn whole(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Self::Text(text) => whole_number(text),
            _ => None,
        }
    }

    /// Without members that say nothing. Members of a struct keep what its fields are; `known` are
    /// their names.
    fn members(self, known: Option<&[&str]>) -> Result<Vec<(String, Self)>, Wrong> {
        let Self::Object(given) = self else { return Err(Wrong::new("expected an object")) };
        let mut members: Vec<(String, Self)> = Vec::with_capacity(given.len());
        let mut places: HashMap<String, usize> = HashMap::with_capacity(given.len());
        for (name, value) in given {
            let blank = value.is_blank() || is_blank(&name) && value == Self::Null;
            let passed_over = is_blank(&name) || known.is_none_or(|known| known.contains(&name.as_str()));
            if blank && passed_over {
                continue;
            }
            match places.get(&name).map(|place| &members[*place].1) {
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
                Some(earlier) if *earlier == value => {}
                Some(_) => {
                    return Err(Wrong::new(format!(
                        "{name:?} is given more than once, with different values"
                    )));
                }
            }
        }
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a [`Member`] out of JSON.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Member, E> {
        Ok(Member::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Member, E> {
        Ok(Member::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Member, E> {
        Ok(Member::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Member, E> {
        Number::from_f64(value)
            .map(Member::Number)
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E>(self, value: &str) -> Result<Member, E> {
        Ok(Member::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Member, E> {
        Ok(Member::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Member::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Member::Object(object))
    }
}

/// What is wrong with a member.
#[derive(Debug)]
pub struct Wrong(String);

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        match expected {
            [] => Self(format!("unknown field {field:?}; nothing is expected here")),
            expected => Self(format!("unknown field {field:?}; expected {}", expected.join(", "))),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("{variant:?} is unknown; expected one of {}", expected.join(", ")))
    }

    fn missing_field(_: &'static str) -> Self {
        Self::new("required")
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            let number = self.whole().ok_or_else(|| Wrong::new("expected a whole number"))?;
            let fits = <$type>::try_from(number).map_err(|_| {
                Wrong(format!("expected a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
            })?;
            visitor.$visit(fits)
        })*
    };
}

impl<'de> Deserializer<'de> for Member {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => number.deserialize_any(visitor).map_err(de::Error::custom),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(_) => self.deserialize_seq(visitor),
            Self::Object(_) => self.deserialize_map(visitor),
        }
    }

    whole_numbers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let number = match &self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => <f64 as Parse>::parse(text).ok(),
            _ => None,
        };
        visitor.visit_f64(number.ok_or_else(|| Wrong::new("expected a number"))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let flag = match &self {
            Self::Bool(flag) => Some(*flag),
            Self::Text(text) => <bool as Parse>::parse(text).ok(),
            _ => None,
        };
        visitor.visit_bool(flag.ok_or_else(|| Wrong::new("expected a boolean: true or false"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Text(text) => visitor.visit_string(text),
            _ => Err(Wrong::new("expected a text")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::List(list) => visitor.visit_seq(Items(list.into_iter())),
            _ => Err(Wrong::new("expected a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(Members { rest: self.members(None)?.into_iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_map(Members { rest: self.members(Some(fields))?.into_iter(), value: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Text(text) => visitor.visit_enum(Name(text)),
            _ => Err(Wrong::new("expected a text")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items(std::vec::IntoIter<Member>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }
}

struct Members {
    rest: std::vec::IntoIter<(String, Member)>,
    value: Option<Member>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self.value.take().unwrap_or(Member::Null))
    }
}

/// A variant without content.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Wrong> {
        let name = StrDeserializer::<Wrong>::new(self.0.trim());
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Name {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong::new("expected a text"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new("expected a text"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new("expected a text"))
    }
}
