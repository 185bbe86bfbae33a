//! Walks the registry, so that no row is half filled in.

use super::*;
use crate::limit::{LIMITS, RESOURCES};

#[test]
fn every_row_is_complete_and_stands_once() {
    for (index, key) in all().iter().enumerate() {
        let path = key.path;
        assert!(all()[..index].iter().all(|other| other.path != path), "{path} stands twice");
        assert!(key.summary.len() > 15 && key.summary.ends_with('.'), "{path}: {}", key.summary);
        assert!(!key.kind.words().is_empty(), "{path} has words");
        assert!(key.since.starts_with("launchd") || key.since.starts_with("wjob"), "{path}");
        assert!(!key.summary.contains('\n'), "{path}");
    }
}

#[test]
fn names_of_one_dictionary_differ_by_more_than_letter_case() {
    for key in all() {
        let same = children(key.parent()).filter(|other| other.name().eq_ignore_ascii_case(key.name()));
        assert_eq!(same.count(), 1, "{}", key.path);
    }
}

#[test]
fn every_dictionary_has_keys_and_every_sub_key_a_dictionary() {
    let mut dictionaries = vec![""];
    for key in all() {
        collect(&key.kind, &mut dictionaries);
    }
    for key in all() {
        assert!(dictionaries.contains(&key.parent()), "{} belongs in no dictionary", key.path);
    }
    for parent in dictionaries {
        assert!(children(parent).next().is_some(), "{parent} has no keys");
    }
}

fn collect(kind: &Kind, into: &mut Vec<&'static str>) {
    match kind {
        Kind::Dictionary(parent) => into.push(*parent),
        Kind::Array(each) | Kind::Map(each) => collect(each, into),
        Kind::AnyOf(kinds) => kinds.iter().for_each(|kind| collect(kind, into)),
        _ => {}
    }
}

#[test]
fn every_limit_and_resource_has_a_row() {
    for row in LIMITS {
        let key = find(&format!("Limits.{}", row.key)).expect(row.key);
        assert_eq!(key.kind, Kind::Integer { least: row.least as i64, most: row.most as i64 });
        assert!(key.is_own());
    }
    for row in RESOURCES {
        for parent in ["SoftResourceLimits", "HardResourceLimits"] {
            assert!(find(&format!("{parent}.{}", row.key)).is_some(), "{parent}.{}", row.key);
        }
    }
}

#[test]
fn launchd_keys_match_in_any_letter_case_and_ours_do_not() {
    assert!(matches!(look_up("", "Label"), Match::Exact(key) if key.path == "Label"));
    assert!(matches!(look_up("", "enabletransactions"), Match::OtherCase(_)));
    assert!(matches!(look_up("StartCalendarInterval", "WeekDay"), Match::OtherCase(_)));
    assert!(matches!(look_up("", "limits"), Match::OwnOtherCase(_)));
    assert!(matches!(look_up("Grants.Paths.*", "access"), Match::OwnOtherCase(_)));
    assert!(matches!(look_up("", "Nonsense"), Match::Unknown));
}
