//! Sockets for both families of addresses at once, and in multicast groups, with clients of either family. They need a
//! network of their own, in which every port is free and routes lead to groups, and which only root can make.

use std::path::Path;
use std::process::Command;

use plist::Dictionary;

use crate::harness::{Job, Ran, Running, Supervisor, is_root, perl};

/// The device of point-to-point networks (tuntap.rst of the kernel's documentation).
const TUN: &str = "/dev/net/tun";

/// Has the loopback work, makes a device to which multicast of both families leads, and becomes its arguments. Numbers are
/// those of if_tun.h and sockios.h; a structure that is asked with is written to.
const NETWORK: &str = r#"
use Socket qw(:all);
open my $tun, '+<', '/dev/net/tun' or die "tun: $!";
my $made = pack 'a16 S x22', 'wjob', 0x1001;
ioctl $tun, 0x400454ca, $made or die "TUNSETIFF: $!";
ioctl $tun, 0x400454cb, 1 or die "TUNSETPERSIST: $!";
socket my $four, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
socket my $six, AF_INET6, SOCK_DGRAM, 0 or die "socket: $!";
my $address = pack 'a16 S n a4 x16', 'wjob', AF_INET, 0, inet_aton('10.20.30.1');
ioctl $four, 0x8916, $address or die "SIOCSIFADDR: $!";
for my $name ('lo', 'wjob') {
    my $flags = pack 'a16 s x22', $name, 0x1 | 0x40 | 0x1000;
    ioctl $four, 0x8914, $flags or die "SIOCSIFFLAGS: $!";
}
my $device = "wjob\0";
my @route = map { pack 'S n a4 x8', AF_INET, 0, inet_aton($_) } '224.0.0.0', '0.0.0.0', '240.0.0.0';
my $route = pack 'x8 a16 a16 a16 S x22 s x6 p x16 S x6', @route, 1, 0, $device;
ioctl $four, 0x890B, $route or die "SIOCADDRT: $!";
my $index = pack 'a16 x24', 'wjob';
ioctl $four, 0x8933, $index or die "SIOCGIFINDEX: $!";
my $further = pack 'a16 L i', inet_pton(AF_INET6, 'fd00::1'), 64, unpack 'x16 i', $index;
ioctl $six, 0x8916, $further or die "SIOCSIFADDR: $!";
exec @ARGV or die "exec: $!";
"#;

/// Says its last argument at an address and a port, on a stream or in a datagram, and prints what is answered.
const ASKS: &str = r#"
use Socket qw(:all);
my ($kind, $host, $port, $said) = @ARGV;
alarm 120;
my ($family, $to) = $host =~ /:/
    ? (AF_INET6, pack_sockaddr_in6($port, inet_pton(AF_INET6, $host)))
    : (AF_INET, pack_sockaddr_in($port, inet_pton(AF_INET, $host)));
socket my $socket, $family, $kind eq 'stream' ? SOCK_STREAM : SOCK_DGRAM, 0 or die "socket: $!";
if ($kind eq 'stream') {
    connect $socket, $to or die "connect: $!";
    syswrite $socket, $said;
    print while <$socket>;
} else {
    send $socket, $said, 0, $to or die "send: $!";
    defined recv $socket, my $answer, 1500, 0 or die "recv: $!";
    print $answer;
}
"#;

/// Whether there can be such a network here; if not, that is said.
fn can_be() -> bool {
    let why = match (is_root(), Path::new(TUN).exists()) {
        (false, _) => "only root can give a supervisor a network of its own",
        (true, false) => "there is no /dev/net/tun, to which multicast could lead",
        (true, true) => return true,
    };
    println!("skipped: {why}");
    false
}

/// Starts a supervisor in a network of its own.
fn alone(mut supervisor: Supervisor) -> Supervisor {
    let command = supervisor.command();
    let mut inside = Command::new("unshare");
    inside.args(["--net", perl(), "-we", NETWORK]).arg(command.get_program()).args(command.get_args()).env_clear();
    inside.current_dir(supervisor.sandbox.path(""));
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    supervisor.adopt(Running::start(inside));
    supervisor
}

/// A client in the network of a supervisor.
fn asks(supervisor: &Supervisor, words: [&str; 4]) -> Ran {
    let mut command = Command::new("nsenter");
    let network = format!("/proc/{}/ns/net", supervisor.process().pid());
    command.arg(format!("--net={network}")).args([perl(), "-we", ASKS]).args(words);
    Running::start(command).end()
}

fn socket(kind: &str, family: &str, port: &str) -> Dictionary {
    Dictionary::from_iter([("SockType", kind), ("SockFamily", family), ("SockServiceName", port)])
}

#[test]
fn one_socket_for_both_families_has_clients_of_both() {
    if !can_be() {
        return;
    }
    let streams = Job::guest("handles", &[]).with_in("Sockets", "listener", socket("stream", "IPv4v6", "5001"));
    let datagrams = Job::guest("accepts", &[]).with_in("Sockets", "listener", socket("dgram", "IPv4v6", "5002"));
    let supervisor = alone(Supervisor::new().with("streams", streams).with("datagrams", datagrams));
    for (host, begins) in [("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")] {
        let ran = asks(&supervisor, ["stream", host, "5001", "peer\n"]);
        // Who came by IPv4 is told as what he is.
        assert!(ran.exits(0).output().starts_with(begins), "{}", ran.described());
        asks(&supervisor, ["dgram", host, "5002", host]).exits(0).says_only(format!("answered {host}"));
    }
}

#[test]
fn a_socket_for_one_family_has_no_clients_of_the_other() {
    if !can_be() {
        return;
    }
    let job = |family| Job::guest("handles", &[]).with_in("Sockets", "listener", socket("stream", family, "5001"));
    for (family, own, other) in [("IPv4", "127.0.0.1", "::1"), ("IPv6", "::1", "127.0.0.1")] {
        let supervisor = alone(Supervisor::new().with("a", job(family)));
        asks(&supervisor, ["stream", own, "5001", "peer\n"]).exits(0).says(" through listener as 1\n");
        asks(&supervisor, ["stream", other, "5001", "peer\n"]).complains("connect: Connection refused");
    }
}

#[test]
fn what_is_sent_to_a_group_starts_the_job_that_joined_it_and_is_answered() {
    if !can_be() {
        return;
    }
    let groups = [("four", "IPv4", "239.255.37.11", "5001"), ("six", "IPv6", "ff05::4711", "5002")];
    let supervisor = groups.iter().fold(Supervisor::new(), |all, (label, family, group, port)| {
        let mut entry = socket("dgram", family, port);
        entry.insert("MulticastGroup".into(), (*group).into());
        all.with(label, Job::guest("accepts", &[]).with_in("Sockets", "listener", entry))
    });
    let supervisor = alone(supervisor);
    for (label, _, group, port) in groups {
        asks(&supervisor, ["dgram", group, port, group]).exits(0).says_only(format!("answered {group}"));
        supervisor.logs(&format!(" {label}: started: Sockets: a client is there\n"));
    }
}
