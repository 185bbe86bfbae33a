//! Which requests no instance is made for: those of which it is not clear whom they are meant for, and those for a tunnel,
//! which no component can give. Heads that are no HTTP at all are hyper's to refuse; what is asked is the component's.

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version};

/// What is answered to a request that no instance sees.
pub(crate) type Refusal = (StatusCode, &'static str);

const NO_TUNNEL: Refusal = (StatusCode::NOT_IMPLEMENTED, "there are no tunnels here\n");
const NO_TARGET: Refusal = (StatusCode::BAD_REQUEST, "a request names what it asks for: a path, or a whole http URL\n");
const NO_HOST: Refusal = (StatusCode::BAD_REQUEST, "a request names its host, once\n");

/// Refuses what no instance is made for, and names the host of a request that need not.
///
/// # Errors
/// What is to be answered.
pub(crate) fn check<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(NO_TUNNEL);
    }
    if !is_target(request.uri(), request.method()) {
        return Err(NO_TARGET);
    }
    if names_its_host(request) { Ok(()) } else { Err(NO_HOST) }
}

/// A path, a whole URL, or with OPTIONS all there is (RFC 9112, 3.2). A URL may be of another host: whoever answers at
/// this address answers for it, and nothing is passed on.
fn is_target(uri: &Uri, method: &Method) -> bool {
    let place = uri.scheme().is_none_or(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    let person = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let path = uri.path().starts_with('/') || uri.path() == "*" && method == Method::OPTIONS;
    place && path && !person
}

/// HTTP/1.1 wants one Host (RFC 9112, 3.2); an older client need not know of it, and a component is told of none.
fn names_its_host<B>(request: &mut Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host),
        (Some(_), Some(_)) => false,
        (None, _) => {
            request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
            request.version() < Version::HTTP_11
        }
    }
}

/// None at all is one: it is what a URL has that names none.
fn is_host(host: &HeaderValue) -> bool {
    host.is_empty() || !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_one_host_and_one_of_its_paths() {
        let rows: &[(&str, &str, &[&str], Option<u16>)] = &[
            ("GET", "/", &["localhost"], None),
            ("GET", "/a?b", &["[::1]:8080"], None),
            ("GET", "/", &[""], None),
            ("GET", "//elsewhere.example/", &["localhost"], None),
            ("GET", "http://elsewhere.example/", &["elsewhere.example"], None),
            ("GET", "http://elsewhere.example", &["localhost"], None),
            ("GET", "https://elsewhere.example/", &["localhost"], None),
            ("OPTIONS", "*", &["localhost"], None),
            ("GET", "*", &["localhost"], Some(400)),
            ("GET", "elsewhere.example", &["localhost"], Some(400)),
            ("GET", "elsewhere.example:80", &["localhost"], Some(400)),
            ("GET", "ftp://elsewhere.example/", &["localhost"], Some(400)),
            ("GET", "http://somebody@elsewhere.example/", &["localhost"], Some(400)),
            ("CONNECT", "elsewhere.example:443", &["elsewhere.example:443"], Some(501)),
            ("CONNECT", "/", &["localhost"], Some(501)),
            ("GET", "/", &[], Some(400)),
            ("GET", "http://elsewhere.example/", &[], Some(400)),
            ("GET", "/", &["localhost", "localhost"], Some(400)),
            ("GET", "/", &["a b"], Some(400)),
            ("GET", "/", &["a/b"], Some(400)),
            ("GET", "/", &["somebody@localhost"], Some(400)),
            ("GET", "/", &["\u{e4}"], Some(400)),
        ];
        for (method, target, hosts, expected) in rows {
            let mut request = Request::builder().method(*method).uri(*target);
            for host in *hosts {
                request = request.header(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            let refused = check(&mut request.body(()).unwrap()).err().map(|(status, _)| status.as_u16());
            assert_eq!(refused, *expected, "{method} {target} of {hosts:?}");
        }
    }

    #[test]
    fn an_older_client_need_not_name_a_host() {
        let mut request = Request::builder().version(Version::HTTP_10).uri("/").body(()).unwrap();
        assert_eq!(check(&mut request), Ok(()));
        assert_eq!(request.headers()[HOST], "localhost");
    }
}
