//! Where things are, as whoever runs an attack says: `KEY=VALUE` behind its name. What is needed and missing is a misuse
//! and ends with another status than an attack that was held, so that no attack counts that did not take place.

use std::fmt::Debug;

use wasip2::filesystem::preopens;
use wasip2::filesystem::types::Descriptor;

/// The keys:
/// - `outside`: a file of the host that no grant covers, which holds `a secret`
/// - `ro`, `rw`: where the guest sees a folder granted ReadOnly and one granted ReadWrite; each holds a `file`, a `folder`
///   and a `fifo`, and the links `link` and `absolute-link` to the folder of the secret and `file-link` to itself
/// - `tcp`, `udp`: ports of 127.0.0.1 that nobody granted, with somebody who listens
/// - `granted`, `granted-udp`: ports of 127.0.0.1 that are granted; the first accepts and says nothing
/// - `http`: a port of 127.0.0.1 that requests may go to, with a server that is hostile itself
pub struct Stage(Vec<(String, String)>);

impl Stage {
    /// The arguments behind the name.
    pub fn of_arguments() -> Self {
        let words = std::env::args().skip(2);
        let pairs =
            words.filter_map(|word| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
        Self(pairs.collect())
    }

    /// The value of a key.
    pub fn text(&self, key: &str) -> &str {
        match self.0.iter().find(|(known, _)| known == key) {
            Some((_, value)) => value,
            None => guests::misuse(&format!("hostile NAME {key}=VALUE: this attack needs to know it")),
        }
    }

    /// A port.
    pub fn port(&self, key: &str) -> u16 {
        match self.text(key).parse() {
            Ok(port) => port,
            Err(error) => guests::misuse(&format!("{key} is no port: {error}")),
        }
    }

    /// A granted folder, opened by the host.
    pub fn folder(&self, key: &str) -> Descriptor {
        let guest = self.text(key);
        match preopens::get_directories().into_iter().find(|(_, name)| name == guest) {
            Some((folder, _)) => folder,
            None => guests::misuse(&format!("{key}={guest}, and no folder is granted there")),
        }
    }
}

/// The result of something that prepares an attack and is granted.
pub fn must<Value, Code: Debug>(what: &str, result: Result<Value, Code>) -> Value {
    match result {
        Ok(value) => value,
        Err(code) => guests::misuse(&format!("{what} is granted, and was refused: {code:?}")),
    }
}
