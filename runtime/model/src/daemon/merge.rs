//! Options as given in one place, and both places put together. An option may be given once in all: which of two
//! values was meant is the operator's to say (S-121).

use serde_json::Value;

use super::configuration::Configuration;
use super::error::{ConfigurationError, shown};
use super::kind::Kind;
use super::options::{DEBUG, DaemonOption, LOG_LEVEL};

/// What one place, the file or the command line, says; every value is of its option's kind.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    given: Vec<Given>,
}

/// An option with its value.
#[derive(Clone, Debug)]
struct Given {
    option: &'static DaemonOption,
    value: Value,
    place: String,
}

/// How an option is written, for messages.
pub(super) struct Written<'t> {
    /// Where.
    pub(super) place: String,
    /// Its value.
    pub(super) text: &'t str,
    /// What a value may be in such a place.
    pub(super) words: fn(&Kind) -> String,
}

impl Partial {
    /// Adds an option.
    pub(super) fn take(
        &mut self,
        option: &'static DaemonOption,
        value: Value,
        written: Written<'_>,
    ) -> Result<(), ConfigurationError> {
        let Written { place, text, words } = written;
        if let Some(first) = self.find(option.name) {
            return Err(ConfigurationError::Twice { place, name: option.name, first: first.place.clone() });
        }
        if !option.kind.set(&mut Configuration::default(), &value) {
            let (name, found, expected) = (option.name, shown(text), words(&option.kind));
            return Err(ConfigurationError::Wrong { place, name, found, expected });
        }
        self.given.push(Given { option, value, place });
        Ok(())
    }

    /// Takes back what an option lists so far, for one more to be added.
    pub(super) fn take_back(&mut self, option: &DaemonOption) -> Vec<Value> {
        let Some(index) = self.given.iter().position(|given| given.option.name == option.name) else {
            return Vec::new();
        };
        match self.given.remove(index).value {
            Value::Array(values) => values,
            value => vec![value],
        }
    }

    /// Whether it says anything of this option.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.option.name == name)
    }
}

/// Puts file and command line together, over the defaults.
///
/// # Errors
/// When an option is given in both, or two options contradict each other.
pub fn merge(file: Partial, flags: Partial) -> Result<Configuration, ConfigurationError> {
    for given in &file.given {
        if flags.has(given.option.name) {
            let DaemonOption { name, flag, .. } = *given.option;
            return Err(ConfigurationError::InBoth { name, file: given.place.clone(), flag });
        }
    }
    let all = Partial { given: [file.given, flags.given].concat() };
    contradiction(&all)?;
    let mut configuration = Configuration::default();
    for given in &all.given {
        // It fits: that was checked when it was taken.
        given.option.kind.set(&mut configuration, &given.value);
    }
    let Configuration { log_job_bytes: job, log_total_bytes: total, .. } = configuration;
    if job > total {
        return Err(ConfigurationError::JobOverTotal { job, total });
    }
    Ok(configuration)
}

fn contradiction(all: &Partial) -> Result<(), ConfigurationError> {
    let (Some(level), Some(debug)) = (all.find(LOG_LEVEL), all.find(DEBUG)) else { return Ok(()) };
    Err(ConfigurationError::Contradiction {
        first: LOG_LEVEL,
        other: level.place.clone(),
        second: DEBUG,
        place: debug.place.clone(),
    })
}
