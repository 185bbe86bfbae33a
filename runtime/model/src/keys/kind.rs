//! What a key's value may be, as data: the parser checks by it and every message and document says it in words.
//! It reads no values itself; `spec` does that.

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that names a file or folder.
    Path,
    /// True or false.
    Boolean,
    /// A whole number within bounds.
    Integer {
        /// Smallest value accepted.
        least: i64,
        /// Largest value accepted; `i64::MAX` is no bound.
        most: i64,
    },
    /// File mode bits to take away: a decimal number, or a string that is octal when it begins with 0.
    Umask,
    /// One of these words, exactly.
    OneOf(&'static [&'static str]),
    /// One of these words, in any letter case, as launchd compares them.
    Word(&'static [&'static str]),
    /// A `scheme://host:port`.
    Endpoint,
    /// A list of values of one kind.
    Array(&'static Kind),
    /// A dictionary with fixed keys: those whose path begins with this one.
    Dictionary(&'static str),
    /// A dictionary with free names and values of one kind.
    Map(&'static Kind),
    /// Any of these, told apart by the type of the value.
    AnyOf(&'static [Kind]),
    /// Settings for the job itself: strings, numbers, booleans and dictionaries of these.
    Settings,
    /// Any value at all; it is not looked at.
    Anything,
}

impl Kind {
    /// The kind in words, as in "expected an integer from -20 to 20".
    pub fn words(&self) -> String {
        match self {
            Self::Text => "a string".into(),
            Self::Path => "a string with a path".into(),
            Self::Boolean => "true or false".into(),
            Self::Integer { least, most } => format!("an integer {}", range(*least, *most)),
            Self::Umask => "an integer from 0 to 511, or a string that is octal if it begins with 0".into(),
            Self::OneOf(words) | Self::Word(words) => list(words),
            Self::Endpoint => "a string such as tcp://127.0.0.1:5432".into(),
            Self::Array(each) => format!("an array of {}", each.plural()),
            Self::Dictionary(_) => "a dictionary".into(),
            Self::Map(each) => format!("a dictionary of {}", each.plural()),
            Self::AnyOf(kinds) => join(kinds.iter().map(Self::words)),
            Self::Settings => "a dictionary of strings, integers, booleans and dictionaries of these".into(),
            Self::Anything => "any value".into(),
        }
    }

    fn plural(&self) -> String {
        match self {
            Self::Text => "strings".into(),
            Self::Path => "paths".into(),
            Self::Boolean => "booleans".into(),
            Self::Integer { least, most } => format!("integers {}", range(*least, *most)),
            Self::Umask => "modes".into(),
            Self::OneOf(words) | Self::Word(words) => format!("the words {}", list(words)),
            Self::Endpoint => "strings such as tcp://127.0.0.1:5432".into(),
            Self::Array(each) => format!("arrays of {}", each.plural()),
            Self::Dictionary(_) | Self::Settings => "dictionaries".into(),
            Self::Map(each) => format!("dictionaries of {}", each.plural()),
            Self::AnyOf(kinds) => join(kinds.iter().map(Self::plural)),
            Self::Anything => "any values".into(),
        }
    }
}

/// Bounds in words.
pub fn range(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, i64::MAX) => "of 64 bits".into(),
        (0, i64::MAX) => "of 0 or more".into(),
        (_, i64::MAX) => format!("of at least {least}"),
        _ => format!("from {least} to {most}"),
    }
}

fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).into(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn join(alternatives: impl Iterator<Item = String>) -> String {
    alternatives.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_read_as_words() {
        for (kind, expected) in [
            (Kind::Integer { least: -20, most: 20 }, "an integer from -20 to 20"),
            (Kind::Integer { least: 1, most: i64::MAX }, "an integer of at least 1"),
            (Kind::AnyOf(&[Kind::Text, Kind::Array(&Kind::Text)]), "a string or an array of strings"),
            (Kind::Map(&Kind::Boolean), "a dictionary of booleans"),
            (Kind::OneOf(&["One", "Two", "Three"]), "One, Two or Three"),
            (
                Kind::AnyOf(&[Kind::Dictionary("X"), Kind::Array(&Kind::Dictionary("X"))]),
                "a dictionary or an array of dictionaries",
            ),
        ] {
            assert_eq!(kind.words(), expected);
        }
    }
}
