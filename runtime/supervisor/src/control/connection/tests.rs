//! What a client of the control socket can say and leave unsaid, on a pair of sockets and a clock of the test's own.

use std::io::Write;

use wjob_model::varlink::{Nothing, call, reply};

use super::*;

fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Connection::accept(ours).unwrap(), theirs)
}

/// Everything the client can read now.
fn received(client: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; MOST_READ];
    while let Ok(count) = client.read(&mut buffer)
        && count > 0
    {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// Writes as a client and takes out what the connection makes of it, answering each call at once.
fn said(connection: &mut Connection, client: &mut UnixStream, bytes: &[u8]) -> Vec<String> {
    client.write_all(bytes).unwrap();
    connection.read(0);
    let mut said = Vec::new();
    while let Some(incoming) = connection.incoming() {
        said.push(match incoming {
            Incoming::Call(call) => call.method,
            Incoming::Bad(bad) => bad.to_string(),
            Incoming::Closed => "closed".into(),
        });
        connection.send(reply(&Nothing {}, false), 0);
    }
    said
}

#[test]
fn a_peer_is_who_the_kernel_says() {
    let (connection, _client) = pair();
    let own = (rustix::process::getuid().as_raw(), rustix::process::getpid().as_raw_pid());
    assert_eq!((connection.peer.uid, connection.peer.pid), own);
}

#[test]
fn calls_come_whole_and_bad_ones_do_not_end_the_connection() {
    let (mut connection, mut client) = pair();
    let whole = call("a.B", &Nothing {}, false);
    for (bytes, expected) in [
        (&whole[..5], vec![]),
        (&whole[5..], vec!["a.B"]),
        (b"{}\0", vec!["\"method\" is missing; expected a string, as in \"io.wjob.List\""]),
        (&[&whole[..], &whole[..], &whole[..3]].concat(), vec!["a.B", "a.B"]),
        (&whole[3..], vec!["a.B"]),
    ] {
        assert_eq!(said(&mut connection, &mut client, bytes), expected);
    }
    assert_eq!(received(&mut client).iter().filter(|byte| **byte == 0).count(), 5);
    assert!(!connection.is_dead() && connection.wants_read());
}

#[test]
fn the_next_call_waits_for_the_answer_to_this_one() {
    let (mut connection, mut client) = pair();
    client.write_all(&[call("a.A", &Nothing {}, true), call("a.B", &Nothing {}, false)].concat()).unwrap();
    connection.read(0);
    assert!(matches!(connection.incoming(), Some(Incoming::Call(call)) if call.method == "a.A" && call.more));
    connection.send_more(reply(&Nothing {}, true), 0);
    assert!(connection.incoming().is_none() && !connection.wants_read());
    connection.send(reply(&Nothing {}, false), 0);
    assert!(matches!(connection.incoming(), Some(Incoming::Call(call)) if call.method == "a.B"));
    assert_eq!(received(&mut client), [reply(&Nothing {}, true), reply(&Nothing {}, false)].concat());
}

#[test]
fn a_oneway_call_is_not_answered() {
    let (mut connection, mut client) = pair();
    let heard = said(&mut connection, &mut client, b"{\"method\":\"a.B\",\"oneway\":true}\0");
    assert_eq!((heard, received(&mut client)), (vec!["a.B".to_owned()], vec![]));
}

#[test]
fn a_call_that_is_too_long_is_told_so_and_ends_the_connection() {
    let (mut connection, mut client) = pair();
    let piece = [b'x'; MOST_READ];
    for _ in 0..MOST_MESSAGE / MOST_READ {
        assert_eq!(said(&mut connection, &mut client, &piece), Vec::<String>::new());
    }
    let end = said(&mut connection, &mut client, &piece);
    assert_eq!(end, ["it is longer than 1048576 bytes; send less at a time"]);
    assert!(connection.is_dead());
    assert!(received(&mut client).ends_with(b"\0"));
}

#[test]
fn a_client_that_left_is_closed_after_its_last_call() {
    let (mut connection, mut client) = pair();
    client.write_all(&call("a.B", &Nothing {}, false)).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(said(&mut connection, &mut client, b"").len(), 1);
    assert_eq!(said(&mut connection, &mut client, b""), ["closed"]);
    assert!(connection.is_dead() && !connection.wants_read());
}

#[test]
fn a_client_that_hung_up_is_heard_out_and_not_waited_for() {
    let (mut connection, mut client) = pair();
    client.write_all(b"{\"method\":\"a.A\",\"oneway\":true}\0{\"method\":\"a.B\"}\0").unwrap();
    drop(client);
    connection.hang_up();
    assert!(!connection.is_dead());
    connection.read(0);
    for method in ["a.A", "a.B"] {
        assert!(matches!(connection.incoming(), Some(Incoming::Call(call)) if call.method == method));
    }
    connection.hang_up();
    assert!(connection.is_dead() && connection.incoming().is_none());
}

#[test]
fn half_a_call_has_five_seconds_however_slowly_it_drips() {
    let (mut connection, mut client) = pair();
    for (now, bytes, deadline) in [
        (1_000, &b"{\"met"[..], Some(6_000)),
        (5_000, b"hod", Some(6_000)),
        (5_500, b"\":\"a.B\",\"oneway\":true}\0", None),
        (6_000, b"{}\0{", None),
    ] {
        client.write_all(bytes).unwrap();
        connection.read(now);
        assert!(deadline.is_none() || connection.incoming().is_none());
        while connection.incoming().is_some() {}
        assert_eq!(connection.deadline(), deadline, "at {now}");
    }
    // The bad call was answered at 7 s; only from then on could the rest of the next one come.
    connection.send(reply(&Nothing {}, false), 7_000);
    assert_eq!(connection.deadline(), Some(12_000));
    connection.expire(11_999);
    assert!(!connection.is_dead());
    connection.expire(12_000);
    assert!(connection.is_dead());
    assert!(String::from_utf8(received(&mut client)).unwrap().contains("within 5 seconds"));
}

#[test]
fn an_unread_answer_has_five_seconds() {
    let (mut connection, mut client) = pair();
    let long = reply(&"x".repeat(4 * MOST_MESSAGE), false);
    client.write_all(&call("a.B", &Nothing {}, false)).unwrap();
    connection.read(0);
    assert!(connection.incoming().is_some());
    connection.send(long.clone(), 1_000);
    assert!(connection.wants_write() && !connection.wants_read());
    assert_eq!(connection.deadline(), Some(6_000));
    let mut all = Vec::new();
    while connection.wants_write() {
        all.extend(received(&mut client));
        connection.flush(2_000);
    }
    all.extend(received(&mut client));
    assert_eq!((all == long, connection.deadline(), connection.wants_read()), (true, None, true));

    client.write_all(&call("a.B", &Nothing {}, false)).unwrap();
    connection.read(3_000);
    assert!(connection.incoming().is_some());
    connection.send(long, 3_000);
    connection.expire(8_000);
    assert!(connection.is_dead());
}

#[test]
fn a_stream_nobody_reads_is_dropped_at_a_megabyte_and_has_no_deadline() {
    let (mut connection, mut client) = pair();
    client.write_all(&call("a.B", &Nothing {}, true)).unwrap();
    connection.read(0);
    assert!(connection.incoming().is_some());
    let event = reply(&"x".repeat(MOST_READ), true);
    let mut sent = 0;
    while !connection.is_dead() {
        assert_eq!(connection.deadline(), None);
        assert!(connection.unread.len() <= MOST_UNREAD);
        connection.send_more(event.clone(), 0);
        sent += 1;
    }
    assert!(sent > MOST_UNREAD / event.len(), "{sent} were sent");
}

#[test]
fn a_refused_client_is_told_why() {
    let (connection, mut client) = pair();
    connection.refuse("no room");
    let text = String::from_utf8(received(&mut client)).unwrap();
    assert!(text.contains("io.wjob.Failed") && text.contains("no room"), "{text}");
}
