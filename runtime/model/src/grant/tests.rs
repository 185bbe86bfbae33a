//! Endpoints as they are written, and what they cover.

use super::*;

#[test]
fn endpoints_read_and_write_the_same_text() {
    for text in [
        "tcp://127.0.0.1:5432",
        "udp://[::1]:53",
        "http://127.0.0.1:*",
        "https://api.example.com:443",
        "unix:///run/postgresql/.s.PGSQL.5432",
    ] {
        assert_eq!(Endpoint::parse_connect(text).unwrap().to_string(), text);
    }
}

#[test]
fn defaults_and_canonical_forms() {
    for (text, expected) in [
        ("https://api.example.com", "https://api.example.com:443"),
        ("http://Example.COM/", "http://example.com:80"),
        ("tcp://[::ffff:10.0.0.1]:1", "tcp://10.0.0.1:1"),
    ] {
        assert_eq!(Endpoint::parse_connect(text).unwrap().to_string(), expected);
    }
}

#[test]
fn bad_endpoints_say_what_is_bad() {
    for (text, expected) in [
        ("127.0.0.1:1", EndpointError::NoScheme),
        ("ftp://x:1", EndpointError::UnknownScheme("ftp".into())),
        ("unix://run/x", EndpointError::BadPath("run/x".into())),
        ("unix:///run/../x", EndpointError::BadPath("/run/../x".into())),
        ("unix:///run//x", EndpointError::BadPath("/run//x".into())),
        ("unix:///", EndpointError::BadPath("/".into())),
        ("tcp://:1", EndpointError::NoHost),
        ("tcp://x", EndpointError::NoPort),
        ("tcp://x:70000", EndpointError::BadPort("70000".into())),
        ("tcp://x:+1", EndpointError::BadPort("+1".into())),
        ("tcp://x:0", EndpointError::PortOfNothing),
        ("https://x/y", EndpointError::TrailingPath("/y".into())),
        ("https://u@x", EndpointError::TrailingPath("@x".into())),
        ("tcp://1.2.3:1", EndpointError::BadHost("1.2.3".into())),
        // A grant never is a network.
        ("tcp://10.0.0.0/8:1", EndpointError::TrailingPath("/8:1".into())),
        ("tcp://[fd00::/8]:1", EndpointError::TrailingPath("/8]:1".into())),
        ("tcp://0.0.0.0:1", EndpointError::Unspecified([0, 0, 0, 0].into())),
        ("tcp://::1:1", EndpointError::BadHost("::1:1".into())),
    ] {
        assert_eq!(Endpoint::parse_connect(text), Err(expected), "{text}");
    }
    for (text, expected) in [
        ("http://127.0.0.1:1", EndpointError::NoListener("http")),
        ("tcp://localhost:1", EndpointError::NameOfListener("localhost".into())),
        ("unix:///run/x", EndpointError::UnixListener),
    ] {
        assert_eq!(Endpoint::parse_bind(text), Err(expected), "{text}");
    }
}

#[test]
fn a_path_has_the_length_that_an_address_can_have() {
    for (length, expected) in [(LONGEST_PATH, true), (LONGEST_PATH + 1, false)] {
        let url = format!("unix:///{}", "x".repeat(length - 1));
        assert_eq!(Endpoint::parse_connect(&url).is_ok(), expected, "{length}");
    }
}

#[test]
fn unix_sockets_are_told_from_the_rest() {
    let connect = ["tcp://127.0.0.1:1", "unix:///run/a", "unix:///run/b"];
    let connect = connect.iter().map(|text| Endpoint::parse_connect(text).unwrap()).collect();
    let grants = Grants { connect, ..Grants::default() };
    assert_eq!(grants.sockets().collect::<Vec<_>>(), ["/run/a", "/run/b"]);
    assert!(!grants.connect[1].covers_address("127.0.0.1:1".parse().unwrap()));
}

#[test]
fn coverage() {
    let covers =
        |grant: &str, address: &str| Endpoint::parse_connect(grant).unwrap().covers_address(address.parse().unwrap());
    assert!(covers("tcp://127.0.0.1:80", "127.0.0.1:80"));
    assert!(covers("tcp://127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
    assert!(covers("tcp://127.0.0.1:*", "127.0.0.1:9"));
    assert!(!covers("tcp://127.0.0.1:80", "127.0.0.1:81"));
    assert!(!covers("tcp://127.0.0.1:80", "127.0.0.2:80"));
    let binds = |grant: &str, address: &str| Endpoint::parse_bind(grant).unwrap().covers_bind(address.parse().unwrap());
    assert!(binds("udp://0.0.0.0:0", "127.0.0.1:0"));
    assert!(!binds("udp://0.0.0.0:0", "[::1]:0"));
    assert!(!binds("tcp://127.0.0.1:0", "127.0.0.1:80"));
}

#[test]
fn a_network_covers_its_addresses_and_one_use_of_it_is_one_address() {
    let network = Endpoint::parse_network("tcp://10.0.0.0/8:*").unwrap();
    for (address, expected) in [("10.1.2.3:80", true), ("[::ffff:10.1.2.3]:80", true), ("11.0.0.0:80", false)] {
        assert_eq!(network.covers_address(address.parse().unwrap()), expected, "{address}");
    }
    let used = |grant: &Endpoint| grant.at("[::ffff:10.1.2.3]:80".parse().unwrap()).to_string();
    assert_eq!(used(&network), "tcp://10.1.2.3:80");
    assert_eq!(used(&Endpoint::parse_connect("tcp://db.example:*").unwrap()), "tcp://db.example:80");
    let asked = |host: &str| Endpoint::parse_connect(&format!("http://{host}")).unwrap().host;
    for (host, expected) in [("10.9.8.7", true), ("192.0.2.1", false), ("db.example", false)] {
        assert_eq!(network.covers_host(&asked(host)), expected, "{host}");
    }
    assert!(Endpoint::parse_connect("http://db.example").unwrap().covers_host(&asked("db.example")));
}
