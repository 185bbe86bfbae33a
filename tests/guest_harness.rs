//! The guest test harness of the SDK, against the built `wjob`: a guest gets what a test grants it and no more, is
//! reached where it says, and is gone with its value. That it builds a crate's own component is shown by the tests of
//! the templates, which `cargo xtask test` runs.

use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::time::Duration;

use wjob_sdk::harness::{Access, Address, Error, Exit, Guest, Running};

use crate::harness::{self, Sandbox};

/// A built guest, run in the sandbox's environment: the harness leaves a test's own as it is.
fn guest(sandbox: &Sandbox, name: &str) -> Guest {
    let command = sandbox.command("wjob", &[]);
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let words: String = variables.map(|(name, value)| format!(" '{}={}'", name.display(), value.display())).collect();
    let program = harness::binary("wjob");
    let script = format!("#!/bin/sh\nexec env -i{words} '{}' \"$@\"\n", program.display());
    Guest::at(harness::guest(name)).wjob(sandbox.write_program("wjob", script))
}

#[track_caller]
fn ran(guest: Guest) -> Exit {
    guest.run().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn clients_reach_it_where_it_says_it_is() -> Result<(), Error> {
    let sandbox = Sandbox::new();
    let service = guest(&sandbox, "echo").listen_tcp().listen_unix().start()?;
    assert!(matches!(service.addresses(), [Address::Tcp(_), Address::Unix(_)]), "{:?}", service.addresses());
    let mut answer = String::new();
    let mut client = service.connect()?;
    client.write_all(b"one\n")?;
    client.shutdown(Shutdown::Write)?;
    client.read_to_string(&mut answer)?;
    let mut client = service.connect_unix()?;
    client.write_all(b"two\n")?;
    client.shutdown(Shutdown::Write)?;
    client.read_to_string(&mut answer)?;
    assert_eq!(answer, "one\ntwo\n", "{}", service.log());
    assert_eq!(service.stop()?.status(), 143);
    Ok(())
}

#[test]
fn datagrams_reach_it_too() -> Result<(), Error> {
    let sandbox = Sandbox::new();
    let service = guest(&sandbox, "accepts").listen_udp().start()?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.set_read_timeout(Some(Duration::from_secs(120)))?;
    client.send_to(b"hello", service.address()?)?;
    let mut answer = [0; 100];
    let length = harness::again(|| client.recv(&mut answer))?;
    assert_eq!(&answer[..length], b"answered hello");
    assert!(matches!(service.connect(), Err(Error::NoSocket { kind: "TCP", .. })));
    assert!(matches!(service.path(), Err(Error::NoSocket { kind: "Unix", .. })));
    Ok(())
}

#[test]
fn it_gets_what_the_test_grants_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "hello\n");
    let read = || guest(&sandbox, "probe-read").argument("/data/file");
    let exit = ran(read());
    assert_eq!(exit.status(), 3, "{exit:?}");
    let exit = ran(read().grant_path(sandbox.path("data"), "/data", Access::ReadOnly));
    assert!(exit.success() && exit.output().contains("hello"), "{exit:?}");
    let write = || guest(&sandbox, "probe-write").argument("/data/new").argument("text");
    assert_eq!(ran(write().grant_path(sandbox.path("data"), "/data", Access::ReadOnly)).status(), 3);
    assert_eq!(ran(write().grant_path(sandbox.path("data"), "/data", Access::ReadWrite)).status(), 0);
    let variable = || guest(&sandbox, "probe-environment").argument("A");
    assert_eq!(ran(variable()).status(), 3);
    assert_eq!(ran(variable().environment("A", "b=c")).output(), "granted: environment: b=c\n");
}

#[test]
fn it_binds_where_the_test_lets_it() {
    let sandbox = Sandbox::new();
    let bind = || guest(&sandbox, "probe-bind").argument("127.0.0.1:0");
    assert_eq!(ran(bind()).status(), 3);
    let exit = ran(bind().grant_bind("tcp://127.0.0.1:0"));
    assert!(exit.success() && exit.output().starts_with("granted: bind: 127.0.0.1:"), "{exit:?}");
}

/// How many requests the instance has had that answers this one.
fn count(service: &Running) -> Result<u32, Error> {
    let mut client = service.connect()?;
    client.write_all(b"GET /count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    let count = answer.lines().last().and_then(|line| line.parse().ok());
    Ok(count.unwrap_or_else(|| panic!("there is no number in {answer:?}")))
}

/// An instance that waits for its next request may be thrown away on a busy machine; but not each time.
#[test]
fn its_instances_answer_as_many_requests_as_the_test_says() -> Result<(), Error> {
    const TRIES: usize = 1_000;
    let sandbox = Sandbox::new();
    let answers = || guest(&sandbox, "answers").listen_tcp().limit("Instances", 1);
    let service = answers().start()?;
    for _ in 0..5 {
        assert_eq!(count(&service)?, 1);
    }
    let service = answers().instance_reuse(2).start()?;
    let mut most = 0;
    for _ in 0..TRIES {
        most = count(&service)?.max(most);
        if most == 2 {
            return Ok(());
        }
    }
    panic!("no instance has had more than {most} requests");
}

#[test]
fn users_are_let_in_whom_the_test_names_and_one_that_nobody_is_is_told_of() -> Result<(), Error> {
    let sandbox = Sandbox::new();
    let service = guest(&sandbox, "echo").listen_unix().grant_user("root").start()?;
    let mut client = service.connect_unix()?;
    client.write_all(b"hello\n")?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    assert_eq!(answer, "hello\n", "{}", service.log());
    let ghost = guest(&sandbox, "echo").listen_unix().grant_user("wjob-test-ghost");
    let error = ghost.start().expect_err("nobody is that");
    assert!(error.to_string().contains("Grants.Users names wjob-test-ghost"), "{error}");
    let error = guest(&sandbox, "echo").listen_tcp().grant_user("root").start().expect_err("no user is known there");
    assert!(matches!(error, Error::Ended { status: 65, .. }), "{error}");
    Ok(())
}

#[test]
fn limits_hold_it_and_ones_that_do_not_exist_are_told_of() {
    let sandbox = Sandbox::new();
    let exit = ran(guest(&sandbox, "probe-spin").limit("RunTime", 1));
    assert_eq!(exit.status(), 137, "{exit:?}");
    assert!(exit.log().contains("RunTime"), "{exit:?}");
    let error = guest(&sandbox, "echo").limit("Nonsense", 1).listen_tcp().start().expect_err("no such limit");
    assert!(matches!(error, Error::Ended { status: 65, .. }), "{error}");
    assert!(error.to_string().contains("Nonsense"), "{error}");
}

#[test]
fn what_a_test_forgets_is_gone_with_its_value() -> Result<(), Error> {
    let sandbox = Sandbox::new();
    let service = guest(&sandbox, "echo").listen_unix().start()?;
    let path = service.path()?.to_owned();
    assert!(path.exists());
    drop(service);
    assert!(!path.exists() && path.parent().is_some_and(|folder| !folder.exists()), "{}", path.display());
    Ok(())
}

#[test]
fn what_cannot_be_started_is_said_in_words() {
    let sandbox = Sandbox::new();
    let missing = guest(&sandbox, "echo").wjob("/no/such/wjob").run().expect_err("no wjob");
    assert!(missing.to_string().ends_with("put wjob into PATH, or its path into the variable WJOB"), "{missing}");
    let program = sandbox.name("wjob");
    let ended = Guest::at("/no/such.wasm").wjob(program).listen_tcp().start().expect_err("no component");
    assert!(matches!(ended, Error::Ended { status: 78, .. }), "{ended}");
    assert!(ended.to_string().contains("/no/such.wasm"), "{ended}");
}
