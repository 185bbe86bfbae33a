//! What `wjobd --help` prints, from the registry of options. It adds no option of its own.

use super::flags::OTHERS;
use super::options::options;

/// Every flag and option, with its default.
pub fn help() -> String {
    let mut text = String::from(
        "Usage: wjobd [FLAG]...\n\nSupervises the jobs of the system, run as root, or of the user who runs it.\n\n\
         Flags:\n",
    );
    for (flag, value, summary) in OTHERS {
        text += &entry(flag, value, summary);
    }
    text += "\nOptions, each as a flag or in daemon.json under its name without the dashes, never in both:\n";
    for option in options() {
        text += &entry(option.flag, option.kind.hint(), option.summary);
        text += &format!("      {}\n      default: {}\n", option.kind.flag_words(), option.default);
        if !option.reloadable {
            text += "      a change takes a restart\n";
        }
    }
    text += "\nSIGHUP reads the configuration again, SIGUSR1 writes the state of everything to the log, SIGTERM shuts \
             down in order; `wjob upgrade` has it replaced by the wjobd that is installed then, and jobs go on.\n";
    text
}

fn entry(flag: &str, value: &str, summary: &str) -> String {
    let flag = format!("{flag} {value}");
    format!("  {}\n      {summary}\n", flag.trim_end())
}
