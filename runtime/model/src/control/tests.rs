//! Compares the interface file with the registry, the types and the failures, so that neither says what the other
//! does not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::*;

/// Fields and their types, in Varlink's words.
type Fields = Vec<(String, String)>;

/// A declaration of the interface file.
#[derive(Debug)]
struct Declaration {
    /// method, type or error
    kind: String,
    name: String,
    /// What stands in its brackets: one list, or a method's two.
    lists: Vec<Fields>,
}

/// As much of Varlink's grammar as the file uses: no brackets inside of brackets, no lists of words.
fn declarations() -> Vec<Declaration> {
    let lines = DESCRIPTION.lines().map(|line| line.split('#').next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut found: Vec<Declaration> = Vec::new();
    for part in text.split_terminator(')') {
        let Some((head, list)) = part.split_once('(') else {
            assert!(part.trim().is_empty(), "{part:?} is no declaration");
            continue;
        };
        if head.trim() == "->" {
            found.last_mut().expect("a method before its reply").lists.push(fields(list));
        } else {
            let mut words = head.split_whitespace().rev().map(str::to_owned);
            let (name, kind) = (words.next().expect("a name"), words.next().expect("a kind"));
            found.push(Declaration { kind, name, lists: vec![fields(list)] });
        }
    }
    found
}

fn fields(list: &str) -> Fields {
    let fields = list.split(',').filter(|field| !field.trim().is_empty());
    let pairs = fields.map(|field| field.split_once(':').expect("a name and a type"));
    pairs.map(|(name, kind)| (name.trim().to_owned(), kind.trim().to_owned())).collect()
}

/// The interface file, by kind and name.
struct Interface(BTreeMap<(String, String), Vec<Fields>>);

impl Interface {
    fn read() -> Self {
        let declared = declarations();
        let count = declared.len();
        let map: BTreeMap<_, _> = declared.into_iter().map(|one| ((one.kind, one.name), one.lists)).collect();
        assert_eq!(map.len(), count, "a name is declared twice");
        Self(map)
    }

    fn names(&self, kind: &str) -> BTreeSet<&str> {
        self.0.keys().filter(|(found, _)| found == kind).map(|(_, name)| name.as_str()).collect()
    }

    fn lists(&self, kind: &str, name: &str) -> &[Fields] {
        self.0.get(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// Asserts that an object has these fields and no others; of a bare one just those that may be absent are.
    fn assert_object(&self, value: &Value, fields: &[(String, String)], bare: bool, place: &str) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
        for name in object.keys() {
            assert!(fields.iter().any(|(field, _)| field == name), "{place}.{name} is not in the file");
        }
        for (name, kind) in fields {
            let place = format!("{place}.{name}");
            match (object.get(name), kind.strip_prefix('?')) {
                (Some(value), Some(kind)) if !bare => self.assert_kind(value, kind, bare, &place),
                (Some(value), None) => self.assert_kind(value, kind, bare, &place),
                (None, Some(_)) if bare => {}
                (found, _) => panic!("{place} is {kind} in the file, bare {bare}, but {found:?}"),
            }
        }
    }

    fn assert_kind(&self, value: &Value, kind: &str, bare: bool, place: &str) {
        if let Some(item) = kind.strip_prefix("[]") {
            let items = value.as_array().unwrap_or_else(|| panic!("{place} is no array: {value}"));
            assert!(!items.is_empty(), "{place} has no sample");
            items.iter().for_each(|value| self.assert_kind(value, item, bare, place));
            return;
        }
        match kind {
            "string" => assert!(value.is_string(), "{place}: {value}"),
            "int" => assert!(value.is_i64(), "{place}: {value}"),
            "bool" => assert!(value.is_boolean(), "{place}: {value}"),
            "float" => assert!(value.is_f64(), "{place}: {value}"),
            _ => self.assert_object(value, &self.lists("type", kind)[0], bare, place),
        }
    }
}

/// A value of each field's type; of a bare sample, what may be absent is.
struct Sample {
    bare: bool,
}

impl Sample {
    fn text(&self) -> String {
        "text".into()
    }

    fn texts(&self) -> Vec<String> {
        vec![self.text()]
    }

    fn maybe<T>(&self, value: T) -> Option<T> {
        (!self.bare).then_some(value)
    }

    fn pairs(&self) -> Vec<Pair> {
        vec![Pair { name: self.text(), value: self.text() }]
    }

    fn row(&self) -> JobRow {
        JobRow {
            label: self.text(),
            state: self.text(),
            why: self.text(),
            pid: self.maybe(1),
            status: self.maybe(-9),
            next: self.maybe(self.text()),
            runs: 1,
            unwalled: false,
        }
    }

    fn detail(&self) -> JobDetail {
        JobDetail {
            row: self.row(),
            path: self.text(),
            domain: self.text(),
            program: self.text(),
            arguments: self.texts(),
            environment: self.pairs(),
            properties: self.pairs(),
            demand: self.texts(),
            grants: self.texts(),
            limits: self.texts(),
            reason: self.texts(),
            last_end: self.maybe(self.text()),
            failures: 0,
            walls: vec![WallRow { wall: self.text(), found: self.text(), stands: true }],
            denials: vec![self.denial()],
            sentences: vec![self.sentence()],
        }
    }

    fn denial(&self) -> DenialRow {
        DenialRow { time: self.text(), kind: self.text(), what: self.text(), wall: self.text(), lines: self.text() }
    }

    fn sentence(&self) -> Sentence {
        Sentence { about: self.text(), says: self.text(), guest: self.text(), kernel: self.text() }
    }

    fn audited(&self) -> Audited {
        let (held, words, change) = (self.text(), self.text(), self.text());
        let line = Exposure { id: self.text(), badness: 1, points: 0.5, held, words, change };
        Audited {
            label: self.text(),
            score: 0.5,
            level: self.text(),
            walls: self.text(),
            note: self.maybe(self.text()),
            findings: vec![line],
        }
    }

    fn loaded(&self) -> Value {
        value(&Loaded { loaded: self.texts(), removed: self.texts(), refused: self.texts() })
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor {
            build: self.text(),
            domain: self.text(),
            pid: 1,
            since: self.text(),
            jobs: 1,
            running: 1,
            stopping: false,
            log_level: self.text(),
            state: self.text(),
            configuration: self.text(),
            folders: self.texts(),
            logger: self.text(),
            cgroup: self.maybe(self.text()),
            cgroup_lacking: self.maybe(self.text()),
        }
    }

    fn happened(&self) -> Happened {
        Happened { time: self.text(), label: self.maybe(self.text()), what: self.text(), detail: self.text() }
    }

    /// A call's parameters and its reply.
    fn of(&self, method: Method) -> (Value, Value) {
        let nothing = || json!({});
        let job = || value(&OfJob { label: self.text() });
        match method {
            Method::List => (nothing(), value(&Jobs { jobs: vec![self.row()] })),
            Method::Print => (job(), value(&self.detail())),
            Method::Bootstrap => (value(&Bootstrap { path: self.text() }), self.loaded()),
            Method::Bootout => (value(&Bootout { label: self.text(), wait: true }), nothing()),
            Method::Enable | Method::Disable => (job(), nothing()),
            Method::Overrides => {
                let overrides = vec![Override { label: self.text(), disabled: true }];
                (nothing(), value(&Overrides { overrides }))
            }
            Method::Kickstart => (
                value(&Kickstart { label: self.text(), kill: true }),
                value(&Kickstarted { pid: self.maybe(1), running: false }),
            ),
            Method::Kill => (value(&Kill { label: self.text(), signal: 15 }), nothing()),
            Method::Blame => (job(), value(&Blame { causes: self.texts() })),
            Method::Audit => (job(), value(&self.audited())),
            Method::Reload => (value(&Reload { label: self.maybe(self.text()) }), self.loaded()),
            Method::Supervisor => (nothing(), value(&self.supervisor())),
            Method::Upgrade => (nothing(), value(&Upgraded { build: self.text(), running: 1 })),
            Method::Events => (nothing(), value(&self.happened())),
        }
    }
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn the_file_has_the_methods_of_the_registry_and_no_others() {
    let interface = Interface::read();
    let methods: BTreeSet<&str> = METHODS.iter().map(|row| row.name).collect();
    assert_eq!(interface.names("method"), methods);
    let kinds: BTreeSet<&str> = interface.0.keys().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["error", "method", "type"]));
    assert!(DESCRIPTION.contains(&format!("\ninterface {INTERFACE}\n")));
}

#[test]
fn every_type_serialises_under_the_names_the_file_gives() {
    let interface = Interface::read();
    for row in METHODS {
        for bare in [false, true] {
            let (parameters, reply) = Sample { bare }.of(row.method);
            let lists = interface.lists("method", row.name);
            assert_eq!(lists.len(), 2, "{}", row.name);
            interface.assert_object(&parameters, &lists[0], bare, row.name);
            interface.assert_object(&reply, &lists[1], bare, &format!("{} ->", row.name));
        }
    }
}

#[test]
fn every_failure_is_an_error_of_the_file_with_the_same_parameters() {
    let interface = Interface::read();
    let samples = failure::samples();
    let names: BTreeSet<&str> = samples.iter().map(|failure| &failure.name()[INTERFACE.len() + 1..]).collect();
    assert_eq!(interface.names("error"), names);
    for failure in &samples {
        let lists = interface.lists("error", &failure.name()[INTERFACE.len() + 1..]);
        interface.assert_object(&value(failure)["parameters"], &lists[0], false, failure.name());
    }
}

#[test]
fn everything_in_the_file_has_a_comment_above_it() {
    let lines: Vec<&str> = DESCRIPTION.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if ["interface ", "type ", "method ", "error "].iter().any(|kind| line.starts_with(kind)) {
            assert!(index > 0 && lines[index - 1].starts_with("# "), "{line} has no comment");
        }
    }
}
