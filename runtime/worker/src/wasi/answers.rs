//! Which answers for a granted name may be used: whoever answers for it must not lead the job to this machine, or to a
//! neighbour that no grant names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wjob_model::grant::{Endpoint, Host, canonical};

/// Whether an answer for a name may be used: addresses that mean this machine, this link or many
/// machines are dropped, unless that literal address is granted too.
pub fn keep_answer(ip: IpAddr, grants: &[Endpoint]) -> bool {
    let ip = canonical(ip);
    let literal = || grants.iter().any(|grant| grant.host == Host::Address(ip));
    !is_special(ip) || literal()
}

fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_special_v4(ip),
        IpAddr::V6(ip) => is_special_v6(ip) || embedded(ip).is_some_and(is_special_v4),
    }
}

/// The metadata service of most clouds, 169.254.169.254, is among the link-local ones.
fn is_special_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.octets()[0] == 0 || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
}

fn is_special_v6(ip: Ipv6Addr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || ip == METADATA
}

/// The IPv4 address inside a v4-compatible (`::/96`) or NAT64 (`64:ff9b::/96`) address.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_dropped() {
        // What is learned names no network, so an answer that only a network covers would be dropped the next time.
        let network = Endpoint::parse_network("tcp://127.0.0.0/8:*").unwrap();
        let grants = [Endpoint::parse_connect("tcp://127.0.0.1:1").unwrap(), network];
        for (ip, expected) in [
            ("192.0.2.1", true),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("fd00:ec2::254", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::169.254.169.254", false),
        ] {
            assert_eq!(keep_answer(ip.parse().unwrap(), &grants), expected, "{ip}");
        }
    }
}
