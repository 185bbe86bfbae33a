//! Attacks by what a guest asks of wasi:http: destinations nobody granted, other ways to write them, lines of its own in
//! a request's head, and requests that are too long, too many or never done. What comes back is in `answers`.

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("request_from_another_port", request_from_another_port),
    ("request_in_absolute_form", request_in_absolute_form),
    ("request_by_connect", request_by_connect),
    ("request_by_another_authority", request_by_another_authority),
    ("request_with_another_host", request_with_another_host),
    ("request_with_lines_of_its_own", request_with_lines_of_its_own),
    ("request_with_a_million_headers", request_with_a_million_headers),
    ("request_with_a_million_headers_at_once", request_with_a_million_headers_at_once),
    ("request_with_a_huge_header", request_with_a_huge_header),
    ("request_a_long_path", request_a_long_path),
    ("request_without_any_time", request_without_any_time),
    ("request_with_all_time", request_with_all_time),
    ("request_without_end", request_without_end),
    ("send_a_body_without_end", send_a_body_without_end),
    ("send_another_length", send_another_length),
];

/// More headers than fit into a map of them (32,768).
const MILLION: usize = 1_000_000;
/// The most of an answer that is read.
const MOST: usize = 1 << 16;

/// A request of a path, at the server that is granted.
pub fn request(stage: &Stage, path: &str, fields: Fields) -> OutgoingRequest {
    let request = OutgoingRequest::new(fields);
    let authority = format!("127.0.0.1:{}", stage.port("http"));
    must("http", request.set_scheme(Some(&Scheme::Http)));
    must("the authority", request.set_authority(Some(&authority)));
    must("the path", request.set_path_with_query(Some(path)));
    request
}

/// Sends it; whoever answers is waited for.
pub fn send(request: OutgoingRequest) -> Result<FutureIncomingResponse, String> {
    outgoing_handler::handle(request, None).map_err(|code| code.to_string())
}

/// The answer, once its head is there.
pub fn answered(pending: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    pending.subscribe().block();
    let answer = pending.get().ok_or("it was announced and is not there")?;
    answer.map_err(|()| "it was taken already")?.map_err(|code| code.to_string())
}

/// The beginning of the answer's body, as text.
fn text(answer: &IncomingResponse) -> Result<String, String> {
    let body = answer.consume().map_err(|()| "the answer has no body")?;
    let stream = body.stream().map_err(|()| "the body has no stream")?;
    let mut bytes = Vec::new();
    while bytes.len() < MOST {
        match stream.blocking_read(4096) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the server saw of a request, which it sends back.
fn seen(request: OutgoingRequest) -> Result<String, String> {
    text(&answered(&send(request)?)?)
}

fn request_from_another_port(stage: &Stage) -> Attempt {
    let wanted = request(stage, "/echo", Fields::new());
    must("an authority", wanted.set_authority(Some(&format!("127.0.0.1:{}", stage.port("tcp")))));
    seen(wanted)
}

/// A target with an authority of its own is addressed to that, by whoever believes it.
fn request_in_absolute_form(stage: &Stage) -> Attempt {
    let other = format!("127.0.0.1:{}", stage.port("tcp"));
    let mut last = "nothing was tried".to_owned();
    for path in [
        format!("http://{other}/echo"),
        format!("//{other}/echo"),
        format!("{other}/echo"),
        format!("@{other}/echo"),
        format!("/echo HTTP/1.1\r\nsmuggled: {other}\r\n\r\nGET /echo"),
        "/echo\nsmuggled: yes".to_owned(),
        "*".to_owned(),
    ] {
        let wanted = request(stage, "/echo", Fields::new());
        if wanted.set_path_with_query(Some(&path)).is_err() {
            last = format!("{path:?} is no path");
            continue;
        }
        match seen(wanted) {
            Ok(head) if !head.starts_with("GET /") || head.contains("smuggled") => return Ok(head),
            Ok(_) => last = format!("{path:?} is a path of the granted server"),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn request_by_connect(stage: &Stage) -> Attempt {
    let mut last = "nothing was tried".to_owned();
    for method in
        [Method::Connect, Method::Other("CONNECT".into()), Method::Other("GET / HTTP/1.1\r\nsmuggled:".into())]
    {
        let wanted = request(stage, "/echo", Fields::new());
        if wanted.set_method(&method).is_err() {
            last = format!("{method:?} is no method");
            continue;
        }
        match seen(wanted) {
            Ok(head) => return Ok(head),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn request_by_another_authority(stage: &Stage) -> Attempt {
    let (granted, other) = (stage.port("http"), stage.port("tcp"));
    let mut last = "nothing was tried".to_owned();
    for authority in [
        format!("127.0.0.1:{granted}@127.0.0.1:{other}"),
        format!("user:word@127.0.0.1:{granted}"),
        format!("127.0.0.1:{other}#127.0.0.1:{granted}"),
        format!("127.0.0.1:{granted}:{other}"),
        format!("[::ffff:127.0.0.1]:{other}"),
        format!("0.0.0.0:{granted}"),
        format!("127.1:{granted}"),
        format!("2130706433:{granted}"),
        format!("localhost:{granted}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:".to_owned(),
        String::new(),
    ] {
        let wanted = request(stage, "/echo", Fields::new());
        if wanted.set_authority(Some(&authority)).is_err() {
            last = format!("{authority:?} is no authority");
            continue;
        }
        match seen(wanted) {
            Ok(head) => return Ok(format!("{authority:?} answered {head}")),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn request_with_another_host(stage: &Stage) -> Attempt {
    let fields = Fields::new();
    if fields.append("host", b"smuggled.example").is_err() {
        return Err("the header is refused".into());
    }
    let head = seen(request(stage, "/echo", fields))?;
    if head.contains("smuggled") { Ok(head) } else { Err("the server sees the host that was granted".into()) }
}

fn request_with_lines_of_its_own(stage: &Stage) -> Attempt {
    let mut last = "nothing was tried".to_owned();
    for (name, value) in [
        ("x", "a\r\nsmuggled: yes"),
        ("x", "a\nsmuggled: yes"),
        ("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\n"),
        ("x\r\nsmuggled", "yes"),
        ("x: y\nsmuggled", "yes"),
        ("", "smuggled"),
        ("smuggled name", "yes"),
        ("transfer-encoding", "smuggled, chunked"),
        ("content-length", "smuggled"),
    ] {
        let fields = Fields::new();
        if let Err(error) = fields.append(name, value.as_bytes()) {
            last = format!("{name:?}: {error}");
            continue;
        }
        match seen(request(stage, "/echo", fields)) {
            Ok(head) if head.contains("smuggled") => return Ok(head),
            Ok(_) => last = format!("{name:?} did not arrive"),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn request_with_a_million_headers(stage: &Stage) -> Attempt {
    let fields = Fields::new();
    for number in 0..MILLION {
        if let Err(error) = fields.append(&format!("x{number}"), b"y") {
            return Err(format!("refused after {number}: {error}"));
        }
    }
    seen(request(stage, "/echo", fields))
}

fn request_with_a_million_headers_at_once(stage: &Stage) -> Attempt {
    let entries: Vec<(String, Vec<u8>)> = (0..MILLION).map(|number| (format!("x{number}"), b"y".to_vec())).collect();
    match Fields::from_list(&entries) {
        Ok(fields) => seen(request(stage, "/echo", fields)),
        Err(error) => Err(error.to_string()),
    }
}

fn request_with_a_huge_header(stage: &Stage) -> Attempt {
    let fields = Fields::new();
    if let Err(error) = fields.append("x", &vec![b'y'; 32 << 20]) {
        return Err(error.to_string());
    }
    seen(request(stage, "/echo", fields))
}

fn request_a_long_path(stage: &Stage) -> Attempt {
    let path = format!("/echo?{}", "x".repeat(1 << 20));
    let wanted = request(stage, "/echo", Fields::new());
    if wanted.set_path_with_query(Some(&path)).is_err() || wanted.set_authority(Some(&path)).is_ok() {
        return Err("it is no path".into());
    }
    seen(wanted)
}

/// Sends with these times, which are over at once or never.
fn with_times(stage: &Stage, path: &str, time: u64) -> Attempt {
    let options = RequestOptions::new();
    must("a time", options.set_connect_timeout(Some(time)));
    must("a time", options.set_first_byte_timeout(Some(time)));
    must("a time", options.set_between_bytes_timeout(Some(time)));
    let sent = outgoing_handler::handle(request(stage, path, Fields::new()), Some(options));
    let pending = sent.map_err(|code| code.to_string())?;
    let answer = answered(&pending)?;
    text(&answer).and_then(|_| Err("it was answered as any other".into()))
}

fn request_without_any_time(stage: &Stage) -> Attempt {
    with_times(stage, "/echo", 0)
}

fn request_with_all_time(stage: &Stage) -> Attempt {
    with_times(stage, "/echo", u64::MAX)
}

/// Each is a connection to a server that never answers.
fn request_without_end(stage: &Stage) -> Attempt {
    let mut kept = Vec::new();
    while kept.len() < MILLION {
        kept.push(send(request(stage, "/nothing", Fields::new()))?);
        monotonic_clock::subscribe_duration(0).block();
    }
    Ok(format!("{} are under way", kept.len()))
}

/// The server stops reading; what is not sent yet is the guest's, and not the host's to keep.
fn send_a_body_without_end(stage: &Stage) -> Attempt {
    let wanted = request(stage, "/sink", Fields::new());
    must("a method", wanted.set_method(&Method::Post));
    let body = must("a body", wanted.body());
    let stream = must("a stream", body.write());
    let _pending = send(wanted)?;
    loop {
        if let Err(error) = stream.blocking_write_and_flush(&[b'x'; 4096]) {
            return Err(error.to_string());
        }
    }
}

/// More is sent than was said, so that the rest might be taken for a request.
fn send_another_length(stage: &Stage) -> Attempt {
    let fields = Fields::new();
    must("a length", fields.append("content-length", b"4"));
    let wanted = request(stage, "/echo", fields);
    must("a method", wanted.set_method(&Method::Post));
    let body = must("a body", wanted.body());
    let stream = must("a stream", body.write());
    let pending = send(wanted)?;
    let written = stream.blocking_write_and_flush(b"fourGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n");
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    if written.is_ok() && finished.is_ok() {
        return Ok("a longer body than was said was sent".into());
    }
    match answered(&pending).and_then(|answer| text(&answer)) {
        Ok(head) if head.contains("smuggled") => Ok(head),
        _ => Err("the rest was not sent".into()),
    }
}
