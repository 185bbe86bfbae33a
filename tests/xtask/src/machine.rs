//! What the bench ran on, in the few words that make two tables comparable.
//! It names nothing that identifies a machine or its owner.

use std::fs;
use std::process::Command;

/// The machine and the day.
pub struct Machine {
    /// Processors this process may use.
    pub cores: usize,
    /// The processor's model.
    pub processor: String,
    /// Memory in MiB.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The day in UTC, as 2026-01-31.
    pub date: String,
}

impl Machine {
    /// This one, today. What the system does not tell is left empty or 0.
    pub fn read() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory: kibibytes(&field("/proc/meminfo", "MemTotal")) / 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: date(),
        }
    }

    /// The line below a table.
    pub fn in_words(&self) -> String {
        let Self { cores, processor, memory, kernel, date } = self;
        format!("{cores} cores ({processor}), {memory} MiB, Linux {kernel}, {date}")
    }

    /// The same for programs.
    pub fn object(&self) -> serde_json::Value {
        serde_json::json!({
            "cores": self.cores,
            "processor": self.processor,
            "memoryMiB": self.memory,
            "kernel": self.kernel,
            "date": self.date,
        })
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value behind the first `name:` of a file of the /proc kind (proc(5)).
fn field(path: &str, name: &str) -> String {
    text(path)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn kibibytes(value: &str) -> u64 {
    value.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn date() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
