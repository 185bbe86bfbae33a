//! Names that a server has to be asked for: one is run beside `wjob`, in a network and a view of files of its own, which
//! only root can make. What a name may mean once it is found is for `network`.

use std::path::Path;

use crate::harness::{self, Running, Sandbox};

/// Has the loopback work, answers questions for names at port 53 of it, and meanwhile runs its arguments, whose status it
/// ends with. Every name has one address of IPv4; that of `long` is told to who asks by TCP, a thousand times over, and
/// others hear that an answer is longer than fits (RFC 1035, 4.2.1). Numbers are those of sockios.h.
const SERVER: &str = r#"
use Socket qw(:all);
socket my $udp, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
my $flags = pack 'a16 s x22', 'lo', 0x1 | 0x40;
ioctl $udp, 0x8914, $flags or die "SIOCSIFFLAGS: $!";
my $place = pack_sockaddr_in(53, inet_aton('127.0.0.1'));
bind $udp, $place or die "bind: $!";
socket my $tcp, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
bind $tcp, $place or die "bind: $!";
listen $tcp, 8 or die "listen: $!";
sub answer {
    my ($asked, $whole) = @_;
    my ($id, $question) = unpack 'n x10 a*', $asked;
    $question =~ s/^((?:[^\0].*?)?\0....).*/$1/s;
    my $short = !$whole && $question =~ /^\x04long/;
    my $known = !$short && "\0\1" eq substr $question, -4, 2;
    my $count = $known ? ($question =~ /^\x04long/ ? 1000 : 1) : 0;
    my $records = (pack 'n n n N n C4', 0xc00c, 1, 1, 60, 4, 10, 99, 0, 1) x $count;
    return pack('n n n n n n', $id, 0x8180 | ($short ? 0x0200 : 0), 1, $count, 0, 0) . $question . $records;
}
my $run = fork // die "fork: $!";
if (!$run) { exec @ARGV or die "exec: $!" }
my $by_tcp = fork // die "fork: $!";
if (!$by_tcp) {
    alarm 120;
    while (accept my $client, $tcp) {
        while (read $client, my $length, 2) {
            read $client, my $asked, unpack 'n', $length;
            syswrite $client, pack 'n/a*', answer($asked, 1);
        }
    }
    exit;
}
my $by_udp = fork // die "fork: $!";
if (!$by_udp) {
    alarm 120;
    while (defined(my $from = recv $udp, my $asked, 512, 0)) { send $udp, answer($asked, 0), 0, $from }
    exit;
}
waitpid $run, 0;
my $status = $?;
kill 'KILL', $by_tcp, $by_udp;
exit($status & 127 ? 99 : $status >> 8);
"#;

/// Whether there are the files that a view of its own can have in another shape; if not, that is said.
fn can_be() -> bool {
    if !harness::is_root() {
        println!("skipped: only root can give the resolver other files, and a server at port 53");
        return false;
    }
    let lacking = ["/etc/resolv.conf", "/etc/nsswitch.conf"].into_iter().find(|file| !Path::new(file).exists());
    lacking.inspect(|file| println!("skipped: there is no {file} here")).is_none()
}

#[test]
fn a_server_is_asked_in_each_way_that_resolv_conf_and_its_answers_want() {
    if !can_be() {
        return;
    }
    let sandbox = Sandbox::new();
    // Those of systemd's, where they are there, are asked before, and know nothing of these names.
    let services = sandbox.write("nsswitch.conf", "hosts: files myhostname mymachines dns\n");
    let (wjob, guest) = (harness::text(&harness::binary("wjob")), harness::guest("probe-lookup"));
    for (options, name) in [
        ("attempts:2", "data.test"),
        ("single-request", "data.test"),
        ("use-vc", "data.test"),
        ("attempts:2", "long.test"),
        ("single-request", "long.test"),
    ] {
        let servers = sandbox.write("resolv.conf", format!("nameserver 127.0.0.1\noptions {options}\n"));
        let script = format!(
            "mount --bind {services} /etc/nsswitch.conf && mount --bind {servers} /etc/resolv.conf && exec \"$@\""
        );
        let granted = format!("tcp://{name}:80");
        let inside = ["--net", "--mount", "sh", "-c", script.as_str(), "sh", harness::perl(), "-we", SERVER];
        let run = [wjob.as_str(), "run", "--connect", granted.as_str(), guest.as_str(), name];
        let command = sandbox.command_at(Path::new("/usr/bin/unshare"), &[&inside[..], &run[..]].concat());
        Running::start(command).end().exits(0).says("granted: lookup: 10.99.0.1\n");
    }
}
