//! What to do about sockets that are not to be had. Whoever was in the way, or is not trusted, is named with what to do
//! about that by the message itself; of what the system refuses the reason has to be known.

use rustix::io::Errno;

use super::ListenError;

impl ListenError {
    /// What to do about it, in one line.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Address { .. } => "correct the socket in the job file",
            Self::Folder { .. } => "choose a folder that only its owner and root can change, or make it one",
            Self::Taken { .. } => "correct its Sockets, or end whoever is in the way",
            Self::Unconnected { .. } => "start who is to answer there, or correct the socket in the job file",
            Self::Many(_) => "name fewer sockets, or one SockFamily for each",
            Self::System { place, error, .. } => refused(Errno::from_io_error(error), is_path(place)),
        }
    }

    /// What is wrong and what to do, where both stand in one line.
    pub fn in_words(&self) -> String {
        match self {
            Self::Taken { .. } | Self::Folder { .. } => self.to_string(),
            _ => format!("{self}; {}", self.advice()),
        }
    }
}

fn is_path(place: &str) -> bool {
    !place.starts_with("tcp://") && !place.starts_with("udp://")
}

/// By the reasons of bind(2), ip(7) and unix(7).
fn refused(error: Option<Errno>, path: bool) -> &'static str {
    match (error, path) {
        (Some(Errno::ACCESS | Errno::PERM), false) => {
            "ports below 1024 (net.ipv4.ip_unprivileged_port_start) are root's: load the job into the system domain, or \
             name a port from 1024"
        }
        (Some(Errno::ACCESS | Errno::PERM | Errno::ROFS), true) => {
            "choose a folder in which the domain's owner may make files"
        }
        (Some(Errno::NOENT | Errno::NOTDIR), true) => "make the folder first, or correct SockPathName",
        (Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT), _) => {
            "SockNodeName must be an address that this machine has (`ip address` lists them)"
        }
        (Some(Errno::MFILE | Errno::NFILE), _) => "raise the limit of open files, or load fewer jobs with sockets",
        _ => "correct its Sockets; the message says what the system refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_for_what_was_refused() {
        for (place, error, expected) in [
            ("tcp://127.0.0.1:80", Errno::ACCESS, "a port from 1024"),
            ("udp://[::]:53", Errno::ACCESS, "the system domain"),
            ("/run/socket", Errno::ACCESS, "choose a folder"),
            ("/run/none/socket", Errno::NOENT, "make the folder first"),
            ("tcp://192.0.2.1:80", Errno::ADDRNOTAVAIL, "an address that this machine has"),
            ("tcp://127.0.0.1:80", Errno::MFILE, "open files"),
            ("tcp://127.0.0.1:80", Errno::NOBUFS, "what the system refused"),
        ] {
            let error = ListenError::System { name: "web".into(), place: place.into(), error: error.into() };
            assert!(error.advice().contains(expected), "{error}: {}", error.advice());
            assert!(error.in_words().ends_with(error.advice()), "{}", error.in_words());
        }
        let taken = ListenError::Taken { name: "web".into(), place: "/run/a".into(), what: "end it".into() };
        assert_eq!(taken.in_words(), taken.to_string(), "it is said once what is to be done");
    }
}
