//! Which known key was probably meant by an unknown one. A guess is only offered when few letters differ.

use super::{Key, all, children};

/// The known key of the same dictionary that differs least from `name`, if it differs little.
pub fn nearest(parent: &str, name: &str) -> Option<&'static Key> {
    let bound = match name.chars().count() {
        0..=3 => return None,
        4..=6 => 1,
        7..=11 => 2,
        _ => 3,
    };
    let name = name.to_ascii_lowercase();
    children(parent)
        .map(|key| (distance(&key.name().to_ascii_lowercase(), &name), key))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

/// The known key of exactly this name that belongs in another dictionary.
pub fn elsewhere(parent: &str, name: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.name() == name && key.parent() != parent)
}

/// Letters to insert, remove or replace to get from one word to the other (Levenshtein).
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        for (left, right, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        for (parent, name, expected) in [
            ("", "WatchPath", Some("WatchPaths")),
            ("", "StandartOutPath", Some("StandardOutPath")),
            ("", "ServiceDescription", None),
            ("", "GID", None),
            ("Limits", "Memroy", None),
            ("Limits", "Memoy", Some("Limits.Memory")),
            ("KeepAlive", "SucessfulExit", Some("KeepAlive.SuccessfulExit")),
        ] {
            assert_eq!(nearest(parent, name).map(|key| key.path), expected, "{name}");
        }
    }
}
