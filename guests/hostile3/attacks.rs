//! The attacks by name. Each is one that another release of WASI, or the engine's own streams and tasks, answers in
//! another way than 0.2 does.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use wasip3::cli::types::ErrorCode as StdioError;
use wasip3::cli::{stdin, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip3::random::random;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket};
use wasip3::{wit_future, wit_stream};

type Attempt = Result<String, String>;

/// More than any instance may hold.
const MANY: usize = 1_000_000;
/// A reader's room, which the host must not make as large before anything comes.
const ROOM: usize = 64 << 20;

/// Performs the attack of this name.
pub async fn perform(name: &str) -> Attempt {
    match name {
        "hold_streams_without_end" => hold_streams_without_end(),
        "hold_futures_without_end" => hold_futures_without_end(),
        "hold_tasks_without_end" => hold_tasks_without_end().await,
        "write_by_streams_without_end" => write_by_streams_without_end(),
        "read_into_all_memory" => read_into_all_memory().await,
        "sleep_for_ever_by_a_task" => sleep_for_ever().await,
        "draw_random_bytes_beyond_all_memory" => draw_random_bytes(),
        "leave_a_folder_by_a_task" => leave_a_folder().await,
        "truncate_read_only_by_a_task" => truncate_read_only().await,
        "connect_by_a_task" => connect().await,
        "connect_datagrams_by_a_task" => connect_datagrams().await,
        "look_up_by_a_task" => look_up().await,
        _ => {
            println!("{name} is no attack");
            std::process::exit(2)
        }
    }
}

fn hold_streams_without_end() -> Attempt {
    let mut kept = Vec::new();
    while kept.len() < MANY {
        kept.push(wit_stream::new::<u8>());
    }
    Ok(format!("{} streams are held", kept.len()))
}

fn hold_futures_without_end() -> Attempt {
    let mut kept = Vec::new();
    while kept.len() < MANY {
        kept.push(wit_future::new::<Result<(), StdioError>>(|| Ok(())));
    }
    Ok(format!("{} futures are held", kept.len()))
}

/// Each is a call that the host has begun and never ends.
async fn hold_tasks_without_end() -> Attempt {
    let mut kept: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    while kept.len() < MANY {
        let mut wait: Pin<Box<dyn Future<Output = ()>>> = Box::pin(monotonic_clock::wait_for(u64::MAX));
        let over = poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_ready())).await;
        if over {
            return Ok("a wait for ever is over".into());
        }
        kept.push(wait);
    }
    Ok(format!("{} calls are under way", kept.len()))
}

/// Each stream is one that the host reads, and nothing is ever written to it.
fn write_by_streams_without_end() -> Attempt {
    let mut kept = Vec::new();
    while kept.len() < MANY {
        let (writer, reader) = wit_stream::new::<u8>();
        kept.push((writer, stdout::write_via_stream(reader)));
    }
    Ok(format!("{} streams are read", kept.len()))
}

async fn read_into_all_memory() -> Attempt {
    let (mut input, _end) = stdin::read_via_stream();
    let (_, bytes) = input.read(Vec::with_capacity(ROOM)).await;
    match bytes.len() {
        0 => Err("the input is at its end".into()),
        length => Ok(format!("{length} bytes came")),
    }
}

async fn sleep_for_ever() -> Attempt {
    monotonic_clock::wait_for(u64::MAX).await;
    Ok("the longest sleep is over".into())
}

fn draw_random_bytes() -> Attempt {
    let bytes = random::get_random_bytes(1 << 40);
    if bytes.len() <= 1 << 20 {
        return Err(format!("{} bytes came", bytes.len()));
    }
    Ok(format!("{} bytes came", bytes.len()))
}

/// The value of `KEY=VALUE` behind the name.
fn value(key: &str) -> String {
    let mut words = std::env::args().skip(2);
    let found = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('=').map(ToOwned::to_owned));
    found.unwrap_or_else(|| {
        println!("{key}=VALUE is missing");
        std::process::exit(2)
    })
}

fn folder(key: &str) -> Descriptor {
    let guest = value(key);
    match preopens::get_directories().into_iter().find(|(_, name)| *name == guest) {
        Some((folder, _)) => folder,
        None => {
            println!("no folder is granted at {guest}");
            std::process::exit(2)
        }
    }
}

async fn leave_a_folder() -> Attempt {
    let folder = folder("ro");
    let mut last = "nothing was tried".to_owned();
    for path in ["../outside/secret", "link/secret", "link/", "file-link", "absolute-link/", "/etc/passwd", "file\0"] {
        let opened =
            folder.open_at(PathFlags::SYMLINK_FOLLOW, path.into(), OpenFlags::empty(), DescriptorFlags::READ).await;
        match opened {
            Ok(_) => return Ok(format!("{path} opened")),
            Err(code) => last = format!("{code:?}"),
        }
    }
    Err(last)
}

async fn truncate_read_only() -> Attempt {
    let folder = folder("ro");
    let mut last = "nothing was tried".to_owned();
    for flags in [OpenFlags::TRUNCATE, OpenFlags::TRUNCATE | OpenFlags::CREATE] {
        let opened = folder.open_at(PathFlags::empty(), "file".into(), flags, DescriptorFlags::READ).await;
        match opened {
            Ok(_) => return Ok("it was emptied".into()),
            Err(code) => last = format!("{code:?}"),
        }
    }
    Err(last)
}

fn loopback(key: &str) -> IpSocketAddress {
    let port = value(key).parse().unwrap_or_default();
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

/// An answer that only the network can have given shows that it was asked.
fn told(result: Result<(), ErrorCode>) -> Attempt {
    match result {
        Ok(()) => Ok("it was reached".into()),
        Err(
            code @ (ErrorCode::AccessDenied
            | ErrorCode::InvalidArgument
            | ErrorCode::InvalidState
            | ErrorCode::NotSupported),
        ) => Err(format!("{code:?}")),
        Err(code) => Ok(format!("it was tried, and answered {code:?}")),
    }
}

async fn connect() -> Attempt {
    match TcpSocket::create(IpAddressFamily::Ipv4) {
        Ok(socket) => told(socket.connect(loopback("tcp")).await),
        Err(code) => told(Err(code)),
    }
}

async fn connect_datagrams() -> Attempt {
    let to = loopback("udp");
    let socket = match UdpSocket::create(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(code) => return told(Err(code)),
    };
    let by_address = told(socket.send(b"attack".to_vec(), Some(to)).await);
    if by_address.is_ok() {
        return by_address;
    }
    match socket.connect(to) {
        Ok(()) => told(socket.send(b"attack".to_vec(), None).await),
        Err(code) => told(Err(code)),
    }
}

async fn look_up() -> Attempt {
    for name in ["localhost", "metadata.google.internal", "a\0b", ""] {
        if let Ok(addresses) = resolve_addresses(name.into()).await
            && let Some(address) = addresses.first()
        {
            return Ok(format!("{name} is {address:?}"));
        }
    }
    Err("no name has an address".into())
}
