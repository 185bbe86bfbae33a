//! Grants as a phrase each: so they are listed, and by these words one is known again from run to run. How a property
//! list writes them is `advice`'s.

use super::{Grants, PathGrant};

/// The first words of grants whose use shows, see [`is_watched`].
const WATCHED: [&str; 5] = ["ReadOnly ", "ReadWrite ", "Execute ", "connect ", "bind "];

impl PathGrant {
    /// As in `ReadOnly /srv/photos as /photos`.
    pub fn in_words(&self) -> String {
        let seen = if self.guest == self.host { String::new() } else { format!(" as {}", self.guest) };
        format!("{} {}{seen}", self.access.word(), self.host)
    }
}

impl Grants {
    /// All of them, kind by kind.
    pub fn in_words(&self) -> Vec<String> {
        let environment = self.environment.iter().map(|name| format!("environment {name}"));
        let users = self.users.iter().map(|name| format!("user {name}"));
        let control = self.control.map(|control| format!("control {control:?}"));
        let mut words = self.watched();
        words.extend(environment.chain(users).chain(control));
        words
    }

    /// Paths, then destinations, then addresses to bind: those of which a worker sees whether a guest uses them.
    pub fn watched(&self) -> Vec<String> {
        let paths = self.paths.iter().map(PathGrant::in_words);
        let connect = self.connect.iter().map(|endpoint| format!("connect {endpoint}"));
        let bind = self.bind.iter().map(|endpoint| format!("bind {endpoint}"));
        paths.chain(connect).chain(bind).collect()
    }
}

/// Whether the use of a grant in these words shows. A variable's does not: a guest is handed all of them at once.
pub fn is_watched(words: &str) -> bool {
    WATCHED.iter().any(|start| words.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Access, Control, Endpoint};

    #[test]
    fn every_grant_has_its_words_and_those_that_are_watched_are_known_by_them() {
        let path = |host: &str, guest: &str, access| PathGrant { host: host.into(), guest: guest.into(), access };
        let endpoint = |text: &str| vec![Endpoint::parse_connect(text).unwrap()];
        let grants = Grants {
            paths: vec![path("/a", "/a", Access::ReadOnly), path("/b", "/c", Access::ReadWrite)],
            connect: endpoint("https://x.example"),
            bind: endpoint("udp://127.0.0.1:1"),
            environment: vec!["TZ".into()],
            users: vec!["@staff".into()],
            control: Some(Control::Observe),
            ..Grants::default()
        };
        let words = grants.in_words();
        let expected = [
            ("ReadOnly /a", true),
            ("ReadWrite /b as /c", true),
            ("connect https://x.example:443", true),
            ("bind udp://127.0.0.1:1", true),
            ("environment TZ", false),
            ("user @staff", false),
            ("control Observe", false),
        ];
        assert_eq!(words.iter().map(|words| (words.as_str(), is_watched(words))).collect::<Vec<_>>(), expected);
        assert_eq!(grants.watched(), words[..4]);
        for access in Access::ALL {
            assert!(is_watched(&path("/a", "/a", access).in_words()), "{access:?}");
        }
    }
}
