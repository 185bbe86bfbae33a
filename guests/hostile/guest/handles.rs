//! Attacks by number: one more of something, and one more, until the host refuses or ends it. What one of them reaches
//! is in the other files.

use wasip2::cli::{stdin, stdout, terminal_stdout};
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, OutgoingRequest, OutgoingResponse, RequestOptions};
use wasip2::io::poll::poll;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::paths::{named, open};
use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("hold_pollables_without_end", hold_pollables_without_end),
    ("hold_descriptors_without_end", hold_descriptors_without_end),
    ("hold_folder_listings_without_end", hold_folder_listings_without_end),
    ("hold_file_streams_without_end", hold_file_streams_without_end),
    ("hold_stdio_streams_without_end", hold_stdio_streams_without_end),
    ("hold_networks_without_end", hold_networks_without_end),
    ("hold_stream_sockets_without_end", hold_stream_sockets_without_end),
    ("hold_datagram_sockets_without_end", hold_datagram_sockets_without_end),
    ("hold_header_maps_without_end", hold_header_maps_without_end),
    ("hold_requests_without_end", hold_requests_without_end),
    ("borrow_without_end", borrow_without_end),
    ("poll_a_million_at_once", poll_a_million_at_once),
    ("poll_nothing", poll_nothing),
    ("take_and_drop_without_end", take_and_drop_without_end),
];

/// More than any instance may hold.
const MANY: usize = 1_000_000;
/// More rounds than an instance may hold of anything.
const ROUNDS: usize = 20_000;

/// Makes one after the other and keeps all, until one is refused.
fn keep<Held>(mut make: impl FnMut() -> Result<Held, String>) -> Attempt {
    let mut kept = Vec::new();
    while kept.len() < MANY {
        match make() {
            Ok(one) => kept.push(one),
            Err(why) => return Err(format!("refused after {}: {why}", kept.len())),
        }
    }
    Ok(format!("{MANY} are held"))
}

fn hold_pollables_without_end(_: &Stage) -> Attempt {
    keep(|| Ok(monotonic_clock::subscribe_duration(u64::MAX)))
}

fn hold_descriptors_without_end(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    keep(|| open(&folder, "file").map_err(named))
}

fn hold_folder_listings_without_end(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    keep(|| folder.read_directory().map_err(named))
}

fn hold_file_streams_without_end(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    let file = must("reading", open(&folder, "file"));
    keep(|| file.read_via_stream(0).map_err(named))
}

fn hold_stdio_streams_without_end(_: &Stage) -> Attempt {
    keep(|| Ok((stdin::get_stdin(), stdout::get_stdout(), terminal_stdout::get_terminal_stdout())))
}

fn hold_networks_without_end(_: &Stage) -> Attempt {
    keep(|| Ok(instance_network()))
}

fn hold_stream_sockets_without_end(_: &Stage) -> Attempt {
    keep(|| create_tcp_socket(IpAddressFamily::Ipv4).map_err(|code| code.name().to_owned()))
}

fn hold_datagram_sockets_without_end(_: &Stage) -> Attempt {
    keep(|| create_udp_socket(IpAddressFamily::Ipv4).map_err(|code| code.name().to_owned()))
}

fn hold_header_maps_without_end(_: &Stage) -> Attempt {
    keep(|| Ok(Fields::new()))
}

fn hold_requests_without_end(_: &Stage) -> Attempt {
    keep(|| {
        let (request, response) = (OutgoingRequest::new(Fields::new()), OutgoingResponse::new(Fields::new()));
        let bodies = (request.body(), response.body());
        Ok((bodies, request, response, RequestOptions::new()))
    })
}

/// Each call lends a handle and gives it back.
fn borrow_without_end(_: &Stage) -> Attempt {
    let wait = monotonic_clock::subscribe_duration(u64::MAX);
    let early = (0..MANY).filter(|_| wait.ready()).count();
    match early {
        0 => Err(format!("{MANY} borrowed handles were given back")),
        early => Ok(format!("a wait for ever was over {early} times")),
    }
}

fn poll_a_million_at_once(_: &Stage) -> Attempt {
    let now = monotonic_clock::subscribe_duration(0);
    let ready = poll(&vec![&now; MANY]);
    Err(format!("{} of {MANY} were answered", ready.len()))
}

fn poll_nothing(_: &Stage) -> Attempt {
    let ready = poll(&[]);
    Err(format!("{} of none were answered", ready.len()))
}

/// What is given back must be there again.
fn take_and_drop_without_end(stage: &Stage) -> Attempt {
    let folder = stage.folder("ro");
    for round in 0..ROUNDS {
        let made =
            (monotonic_clock::subscribe_duration(u64::MAX), Fields::new(), instance_network(), folder.read_directory());
        drop(made);
        if let Err(code) = open(&folder, "file") {
            return Ok(format!("after {round} rounds nothing is left: {}", named(code)));
        }
    }
    Err("what was given back was there again".into())
}
