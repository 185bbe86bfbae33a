//! The form of what goes over, as its types have it: the names and kinds of all fields and variants in the order in which
//! they are read, in one number. It changes with any of them, and then `FORM` has to be counted on, or a program would be
//! handed what it reads as something else. What the fields mean is not seen.

use std::collections::BTreeMap;

use serde::de::value::{Error, U32Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use wjob_model::handover::FORM;

use super::state::State;

/// How often all is read: every variant that has anything in it has its turn by then.
const TIMES: usize = 60;
/// A text that is a moment as well.
const TEXT: &str = "2026-11-21T10:00:00Z";

/// What was asked for.
#[derive(Default)]
struct Found {
    text: String,
    /// How often each enum was, by its variants, which take turns.
    met: BTreeMap<&'static [&'static str], usize>,
}

impl Found {
    fn say(&mut self, kind: &str, name: &str, parts: &[&str]) {
        self.text += &format!("{kind} {name} {}\n", parts.join(","));
    }
}

/// Gives a type what it asks for, whatever it is.
macro_rules! plain {
    ($($method:ident $kind:literal $visit:ident $value:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.say($kind, "", &[]);
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Found {
    type Error = Error;

    plain! {
        deserialize_bool "bool" visit_bool true;
        deserialize_i8 "i8" visit_i8 1;
        deserialize_i16 "i16" visit_i16 1;
        deserialize_i32 "i32" visit_i32 1;
        deserialize_i64 "i64" visit_i64 1;
        deserialize_u8 "u8" visit_u8 1;
        deserialize_u16 "u16" visit_u16 1;
        deserialize_u32 "u32" visit_u32 1;
        deserialize_u64 "u64" visit_u64 1;
        deserialize_str "text" visit_str TEXT;
        deserialize_string "text" visit_str TEXT;
    }

    serde::forward_to_deserialize_any! { i128 u128 f32 f64 char bytes byte_buf identifier ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing that goes over is of this kind"))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.say("unit", "", &[]);
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.say("option", "", &[]);
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.say("struct", name, &[]);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.say("struct", name, &[]);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.say("list", "", &[]);
        visitor.visit_seq(Several { found: self, left: 1 })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.say("map", "", &[]);
        visitor.visit_map(Several { found: self, left: 1 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.say("tuple", &length.to_string(), &[]);
        visitor.visit_seq(Several { found: self, left: length })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say("struct", name, &[]);
        visitor.visit_seq(Several { found: self, left: length })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say("struct", name, fields);
        visitor.visit_seq(Several { found: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say("enum", name, variants);
        let met = self.met.entry(variants).or_default();
        // Names of files are enums too, of which a system has one variant.
        let turn = if name == "OsString" { 0 } else { *met % variants.len() };
        *met += 1;
        visitor.visit_enum(Variant { found: self, turn })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// So many of what is asked for: of a list or a map one is enough.
struct Several<'a> {
    found: &'a mut Found,
    left: usize,
}

impl<'de> SeqAccess<'de> for Several<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.found).map(Some)
    }
}

impl<'de> MapAccess<'de> for Several<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.found)
    }
}

/// The variant whose turn it is.
struct Variant<'a> {
    found: &'a mut Found,
    turn: usize,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let turn: U32Deserializer<Error> = u32::try_from(self.turn).map_err(Error::custom)?.into_deserializer();
        Ok((seed.deserialize(turn)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.found.say("of one", "", &[]);
        seed.deserialize(self.found)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.found.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.found.deserialize_struct("", fields, visitor)
    }
}

/// A number that is another for another text (FNV-1a, 64 bits).
fn folded(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |all, byte| (all ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn what_goes_over_has_the_form_that_is_counted() {
    let mut found = Found::default();
    for _ in 0..TIMES {
        State::deserialize(&mut found).expect("a state of anything");
    }
    let form = (FORM, format!("{:016x}", folded(&found.text)));
    let change = "what goes over has another form: count `FORM` on, and write the new number here";
    assert_eq!(form, (7, "4967750ebf0a8ffe".to_owned()), "{change}");
}

#[test]
fn every_change_of_a_form_is_another_number() {
    mod before {
        #[derive(serde::Deserialize)]
        pub struct A {
            _a: u32,
            _b: u32,
        }
    }
    mod swapped {
        #[derive(serde::Deserialize)]
        pub struct A {
            _b: u32,
            _a: u32,
        }
    }
    mod wider {
        #[derive(serde::Deserialize)]
        pub struct A {
            _a: u32,
            _b: u64,
        }
    }
    mod longer {
        #[derive(serde::Deserialize)]
        pub struct A {
            _a: u32,
            _b: u32,
            _c: Option<u32>,
        }
    }
    fn number<T: for<'de> Deserialize<'de>>() -> u64 {
        let mut found = Found::default();
        T::deserialize(&mut found).expect("a value of any kind");
        folded(&found.text)
    }
    let before = number::<before::A>();
    assert_eq!(number::<before::A>(), before);
    for after in [number::<swapped::A>(), number::<wider::A>(), number::<longer::A>()] {
        assert_ne!(after, before);
    }
}
