//! What the output of a test program says of each test: it passed, and which wall was met if it tells; it failed; it had
//! nothing to try on this machine; or what got through is documented to. Our tests say so on standard output. It starts
//! nothing.

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed, and this was met, as `WALL: how`, if it says so.
    Held(Option<String>),
    /// It failed.
    Failed,
    /// It passed without having tried anything, for this reason.
    NotTried(String),
    /// Nothing holds it, as the documentation says.
    Documented(String),
}

/// How our tests say that they have nothing to try.
const SKIPPED: [&str; 2] = ["skipped: ", "not applicable: "];
/// How they say that nothing is to hold an attack.
const DOCUMENTED: &str = "documented limit: ";
/// How they say which wall was met.
const MET: &str = "met: ";

/// The tests of an output and what came of them.
pub fn read(output: &str) -> Vec<(String, Verdict)> {
    let remarks = remarks(output);
    let lines = output.lines().filter_map(line);
    lines
        .map(|(name, verdict)| match remarks.iter().find(|(test, _)| *test == name) {
            Some((_, remark)) if verdict == Verdict::Held(None) => (name.to_owned(), remark.clone()),
            _ => (name.to_owned(), verdict),
        })
        .collect()
}

/// `test NAME ... ok`, perhaps with a remark behind it.
fn line(line: &str) -> Option<(&str, Verdict)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let verdict = match rest.strip_prefix("ok") {
        Some(said) => remark(said.trim_matches([' ', '(', ')'])).unwrap_or(Verdict::Held(None)),
        None if rest.starts_with("FAILED") => Verdict::Failed,
        None => Verdict::NotTried(rest.to_owned()),
    };
    Some((name, verdict))
}

/// What a test that passed says of itself.
fn remark(text: &str) -> Option<Verdict> {
    if let Some(why) = SKIPPED.iter().find_map(|beginning| text.strip_prefix(beginning)) {
        return Some(Verdict::NotTried(why.to_owned()));
    }
    let met = text.strip_prefix(MET).map(|met| Verdict::Held(Some(met.to_owned())));
    met.or_else(|| text.strip_prefix(DOCUMENTED).map(|why| Verdict::Documented(why.to_owned())))
}

/// What tests said on standard output, which the test program shows in sections headed by their names.
fn remarks(output: &str) -> Vec<(&str, Verdict)> {
    let mut remarks = Vec::new();
    let mut test = None;
    for line in output.lines() {
        match line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            Some(name) => test = Some(name),
            None => remarks.extend(test.zip(remark(line))),
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_failed_and_skipped_tests_are_told_apart() {
        let output = "\nrunning 7 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest three ... ok\n\
                      test kernel::four::wasm ... ok (not applicable: only root can place it)\n\
                      test five ... ok (documented limit: it says so)\ntest six ... ok\n\
                      test seven ... ok (met: kernel:EPERM)\n\nsuccesses:\n\n---- three stdout ----\n\
                      skipped: only root can do it\n\n---- a::one stdout ----\nsaid\n\n---- six stdout ----\n\
                      met: wasi: held: access\n";
        let expected = [
            ("a::one", Verdict::Held(None)),
            ("a::two", Verdict::Failed),
            ("three", Verdict::NotTried("only root can do it".into())),
            ("kernel::four::wasm", Verdict::NotTried("only root can place it".into())),
            ("five", Verdict::Documented("it says so".into())),
            ("six", Verdict::Held(Some("wasi: held: access".into()))),
            ("seven", Verdict::Held(Some("kernel:EPERM".into()))),
        ];
        assert_eq!(read(output), expected.map(|(name, verdict)| (name.to_owned(), verdict)));
    }
}
