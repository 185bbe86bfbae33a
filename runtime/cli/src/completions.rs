//! `wjob completions SHELL`: prints the script that teaches a shell wjob's verbs and options, and in bash, zsh and fish
//! the labels of the caller's jobs too, which the shell asks for while somebody types.
//! It installs nothing; where the script belongs is the distribution's or the user's choice.

use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use crate::render;

/// What all arguments are called that a label can stand for.
const TARGET: &str = "target";

/// bash: labels in place of what there was, if any begins with the word. A label may hold anything, so each is quoted,
/// and none goes through `compgen`, which would expand it.
const BASH: &str = r#"
_wjob_or_label() {
    _wjob "$@"
    case "${COMP_WORDS[1]}" in
        VERBS) ;;
        *) return 0 ;;
    esac
    [[ "$2" == -* ]] && return 0
    local label quoted found=()
    while IFS= read -r label; do
        [[ "$label" == "$2"* ]] || continue
        printf -v quoted '%q' "$label"
        found+=("$quoted")
    done < <(wjob list --labels 2>/dev/null)
    (( ${#found[@]} )) && COMPREPLY=("${found[@]}")
    return 0
}
"#;

/// zsh: a completer for the arguments that take one; files where no label fits.
const ZSH: &str = r#"
_wjob_labels() {
    local -a labels
    labels=(${(f)"$(wjob list --labels 2>/dev/null)"})
    compadd -a labels || _default
}
"#;

/// fish: labels beside what there is.
const FISH: &str = r#"complete -c wjob -n "__fish_wjob_using_subcommand VERBS" -a "(wjob list --labels 2>/dev/null)"
"#;

/// What `wjob completions` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when a write fails.
    let mut script = Vec::new();
    let mut command = crate::command();
    clap_complete::generate(arguments.shell, &mut command, "wjob", &mut script);
    render::print(with_labels(arguments.shell, &String::from_utf8_lossy(&script), &command))?;
    Ok(ExitCode::SUCCESS)
}

/// The script of the generator, which knows nothing of labels, and what makes it know them.
fn with_labels(shell: Shell, script: &str, command: &Command) -> String {
    let verbs: Vec<&str> = command.get_subcommands().filter(|verb| takes_label(verb)).map(Command::get_name).collect();
    match shell {
        Shell::Bash => {
            let registered = script.replace("complete -F _wjob ", "complete -F _wjob_or_label ");
            registered + &BASH.replace("VERBS", &verbs.join("|"))
        }
        Shell::Zsh => zsh(script),
        Shell::Fish => script.to_owned() + &FISH.replace("VERBS", &verbs.join(" ")),
        _ => script.to_owned(),
    }
}

fn takes_label(verb: &Command) -> bool {
    verb.get_positionals().any(|argument| argument.get_id() == TARGET)
}

/// The first line says what the script is for and has to stay the first; the last one may run it all, so that the
/// function has to come before.
fn zsh(script: &str) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
    let rest: Vec<String> = rest.lines().map(zsh_line).collect();
    format!("{first}\n{ZSH}{}\n", rest.join("\n"))
}

fn zsh_line(line: &str) -> String {
    let is_target = line.trim_start_matches(['\'', '*', ':']).strip_prefix(TARGET);
    match line.strip_suffix(r":_default' \") {
        Some(line) if is_target.is_some_and(|rest| rest.starts_with(" -- ")) => format!(r"{line}:_wjob_labels' \"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(shell: Shell) -> String {
        let mut script = Vec::new();
        let mut command = crate::command();
        clap_complete::generate(shell, &mut command, "wjob", &mut script);
        with_labels(shell, std::str::from_utf8(&script).unwrap(), &command)
    }

    fn verbs() -> Vec<String> {
        let command = crate::command();
        let verbs = command.get_subcommands().filter(|verb| takes_label(verb));
        verbs.map(|verb| verb.get_name().to_owned()).collect()
    }

    #[test]
    fn labels_are_asked_for_where_a_target_is_expected() {
        let verbs = verbs();
        for verb in ["bootout", "enable", "disable", "kickstart", "kill", "list", "print", "blame", "log", "history"] {
            assert!(verbs.iter().any(|found| found == verb), "{verb} is not among {verbs:?}");
        }
        for verb in ["run", "check", "bootstrap", "events"] {
            assert!(!verbs.iter().any(|found| found == verb), "{verb} is among {verbs:?}");
        }
        let bash = script(Shell::Bash);
        assert!(bash.contains(&format!("        {}) ;;", verbs.join("|"))), "{bash}");
        assert_eq!(bash.matches("complete -F _wjob_or_label ").count(), 2);
        assert!(!bash.contains("complete -F _wjob "));
        let fish = script(Shell::Fish);
        assert!(fish.contains(&format!("_using_subcommand {}\" -a", verbs.join(" "))), "{fish}");
        let zsh = script(Shell::Zsh);
        assert_eq!(zsh.matches(":_wjob_labels' \\").count(), verbs.len(), "{zsh}");
        assert!(zsh.starts_with("#compdef wjob\n\n_wjob_labels() {"), "{zsh}");
    }

    #[test]
    fn lines_of_other_arguments_stay() {
        for (line, expected) in [
            (r"':target -- The job:_default' \", r"':target -- The job:_wjob_labels' \"),
            (r"'::target -- A job\: one:_default' \", r"'::target -- A job\: one:_wjob_labels' \"),
            (r"'*::target -- Jobs:_default' \", r"'*::target -- Jobs:_wjob_labels' \"),
            (r"'::targets -- A job:_default' \", r"'::targets -- A job:_default' \"),
            (r"'--target=[A job]:TARGET:_default' \", r"'--target=[A job]:TARGET:_default' \"),
            ("&& ret=0", "&& ret=0"),
        ] {
            assert_eq!(zsh_line(line), expected);
        }
    }
}
