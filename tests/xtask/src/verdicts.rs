//! What the output of a test program says of each test: it passed, it failed, or it had nothing to try on this machine,
//! which our tests say on standard output. It starts nothing.

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Held,
    /// It failed.
    Failed,
    /// It passed without having tried anything, for this reason.
    NotTried(String),
}

/// How our tests say that they have nothing to try.
const SKIPPED: [&str; 2] = ["skipped: ", "not applicable: "];

/// The tests of an output and what came of them.
pub fn read(output: &str) -> Vec<(String, Verdict)> {
    let remarks = remarks(output);
    let lines = output.lines().filter_map(line);
    lines
        .map(|(name, verdict)| match remarks.iter().find(|(test, _)| *test == name) {
            Some((_, why)) if verdict == Verdict::Held => (name.to_owned(), Verdict::NotTried(why.clone())),
            _ => (name.to_owned(), verdict),
        })
        .collect()
}

/// `test NAME ... ok`, perhaps with a remark behind it.
fn line(line: &str) -> Option<(&str, Verdict)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let verdict = match rest.strip_prefix("ok") {
        Some(remark) => skipped(remark.trim_matches([' ', '(', ')'])).map_or(Verdict::Held, Verdict::NotTried),
        None if rest.starts_with("FAILED") => Verdict::Failed,
        None => Verdict::NotTried(rest.to_owned()),
    };
    Some((name, verdict))
}

fn skipped(text: &str) -> Option<String> {
    SKIPPED.iter().find_map(|beginning| text.strip_prefix(beginning)).map(ToOwned::to_owned)
}

/// What tests said on standard output, which the test program shows in sections headed by their names.
fn remarks(output: &str) -> Vec<(&str, String)> {
    let mut remarks = Vec::new();
    let mut test = None;
    for line in output.lines() {
        match line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            Some(name) => test = Some(name),
            None => remarks.extend(test.zip(skipped(line))),
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_failed_and_skipped_tests_are_told_apart() {
        let output = "\nrunning 5 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest three ... ok\n\
                      test kernel::four::wasm ... ok (not applicable: only root can place it)\n\
                      test five ... ok (documented limit: it says so)\n\nsuccesses:\n\n---- three stdout ----\n\
                      skipped: only root can do it\n\n---- a::one stdout ----\nsaid\n";
        let expected = [
            ("a::one", Verdict::Held),
            ("a::two", Verdict::Failed),
            ("three", Verdict::NotTried("only root can do it".into())),
            ("kernel::four::wasm", Verdict::NotTried("only root can place it".into())),
            ("five", Verdict::Held),
        ];
        assert_eq!(read(output), expected.map(|(name, verdict)| (name.to_owned(), verdict)));
    }
}
