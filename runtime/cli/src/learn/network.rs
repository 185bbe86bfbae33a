//! Networks among the destinations of `wjob learn`. They are granted to the run that is learned from and to nothing
//! else: a property list cannot name one, and what is printed are the addresses that were reached.

use wjob_model::grant::Endpoint;

use crate::refusal::Refusal;

const ADVICE: &str =
    "write tcp://10.0.0.0/8:PORT or tcp://[fd00::/8]:PORT, with * for any port, or name single addresses";

/// The networks among these destinations, and the others, which a job file could name too.
///
/// # Errors
/// When one is meant to be a network and is none.
pub(super) fn apart(connect: &[String]) -> Result<(Vec<Endpoint>, Vec<String>), Refusal> {
    let (networks, others): (Vec<String>, Vec<String>) =
        connect.iter().cloned().partition(|text| Endpoint::names_network(text));
    let networks = networks.iter().map(|text| read(text)).collect::<Result<Vec<Endpoint>, Refusal>>()?;
    Ok((networks, others))
}

fn read(text: &str) -> Result<Endpoint, Refusal> {
    let refused = |why: String| Refusal::usage(format!("--connect {text}"), why, ADVICE);
    Endpoint::parse_network(text).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_told_from_what_a_job_file_can_name() {
        let all = ["tcp://10.0.0.0/8:*", "https://x.example", "udp://[fd00::/8]:53", "unix:///run/x"];
        let (networks, others) = apart(&all.map(String::from)).expect("networks");
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), [all[0], all[2]]);
        assert_eq!(others, [all[1], all[3]]);
    }

    #[test]
    fn a_network_that_is_none_is_refused_with_what_was_meant() {
        for (text, why) in [
            ("tcp://10.0.0.1/8:1", "that network is 10.0.0.0/8"),
            ("tcp://10.0.0.0/33:1", "expected a number from 0 to 32"),
            ("tcp://[fd00::]/8:1", "[fd00::/8]"),
            ("tcp://10.0.0.0/8", "no port"),
        ] {
            let refusal = apart(&[text.to_owned()]).expect_err("a refusal");
            assert!(refusal.words.what.contains(text), "{refusal}");
            assert!(refusal.words.why.contains(why), "{refusal}");
        }
    }
}
