//! The words a supervisor executes a program with: they come before its flags, and no person writes them.

/// Asks what it could take over.
pub(super) const ASK: &str = "--state-version";
/// Tells it to take over, and from which descriptor.
pub(super) const RESUME: &str = "--resume";

/// How a program was begun, and its flags.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun<'a> {
    /// As a program of its own.
    Anew(&'a [String]),
    /// To say what it could take over.
    Asked(&'a [String]),
    /// To take over what is told in a descriptor.
    Successor(i32, &'a [String]),
}

/// How a program with these arguments was begun.
pub fn begun(arguments: &[String]) -> Begun<'_> {
    match arguments {
        [word, flags @ ..] if word == ASK => Begun::Asked(flags),
        [word, number, flags @ ..] if word == RESUME => match number.parse() {
            Ok(number) => Begun::Successor(number, flags),
            Err(_) => Begun::Anew(arguments),
        },
        _ => Begun::Anew(arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_words_say_how_it_was_begun() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (text, flags, successor) in [
            ("--resume 7 --debug", "--debug", Some(7)),
            ("--resume 7", "", Some(7)),
            ("--resume seven", "--resume seven", None),
            ("--debug --resume 7", "--debug --resume 7", None),
            ("", "", None),
        ] {
            let (arguments, flags) = (words(text), words(flags));
            let expected = successor.map_or(Begun::Anew(&flags), |number| Begun::Successor(number, &flags));
            assert_eq!(begun(&arguments), expected, "{text}");
        }
        assert_eq!(begun(&words("--state-version --jobs /j")), Begun::Asked(&words("--jobs /j")));
    }
}
