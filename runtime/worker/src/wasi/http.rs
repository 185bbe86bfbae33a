//! Outgoing `wasi:http`, 0.2 and 0.3: each request is checked against the granted hosts and sent to the
//! addresses of the granted table, over plain TCP or TLS.
//! It resolves nothing, follows no redirect, keeps no connection: a second request is checked anew, and
//! what was checked is always what is connected to.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use wjob_model::denial::Denial;
use wjob_model::grant::{Endpoint, Host};

use super::network::Network;
use crate::denial::Denials;

/// For each timeout that a guest leaves open; its RunTime usually ends it earlier.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// What one connection may hold of a response that the guest does not read.
const BUFFER: usize = 128 * 1024;

/// Most bytes of a body that are taken from a guest at once, in a request or an answer. A few such pieces are held on
/// their way, and a connection keeps the room for one of them.
const PIECE: usize = 64 * 1024;

/// The hooks of `WasiHttpCtxView`: how requests leave this worker.
pub struct Outgoing {
    network: Arc<Network>,
    denials: Arc<Denials>,
    tls: Option<Arc<ClientConfig>>,
}

impl Outgoing {
    /// Sends what `network` grants; `tls` is from [`load_roots`], `None` where no `https` is granted.
    pub fn new(network: Arc<Network>, denials: Arc<Denials>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { network, denials, tls }
    }

    /// Where `request` goes, if it may.
    fn admit(&self, request: &Request<WasiBody>) -> Result<Target, Error> {
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let endpoint = asked(request.uri())?;
        let Some(addresses) = self.network.request(&endpoint) else {
            let url = endpoint.to_string();
            self.denials.record(Denial::Request { url });
            return Err(Error::HttpRequestDenied);
        };
        if addresses.is_empty() {
            return Err(unresolved());
        }
        let tls = self.tls_for(&endpoint, request.uri())?;
        Ok(Target { addresses, tls })
    }

    /// The connector and the name the server must prove, for `https`.
    fn tls_for(&self, endpoint: &Endpoint, uri: &Uri) -> Result<Option<Tls>, Error> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(None);
        }
        let config = self.tls.clone().ok_or(Error::ConfigurationError)?;
        let name = match &endpoint.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Network(_) | Host::Path(_) => return Err(Error::HttpRequestUriInvalid),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
        };
        Ok(Some(Tls { connector: TlsConnector::from(config), name }))
    }
}

/// What is left to do for a request once its response has begun.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A response that has begun.
type Begun = (Response<WasiBody>, Rest);

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_result: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Begun, Error>> + Send> {
        let target = self.admit(&request);
        let limits = Limits::from(options.unwrap_or_default());
        Box::new(async move { exchange(target?, request, limits).await })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }
}

/// Host and port of a URI, read by the same rules as a grant: no user, no port but a number.
fn asked(uri: &Uri) -> Result<Endpoint, Error> {
    let scheme = uri.scheme_str().ok_or(Error::HttpRequestUriInvalid)?;
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    if scheme != "http" && scheme != "https" {
        return Err(Error::HttpProtocolError);
    }
    Endpoint::parse_connect(&format!("{scheme}://{authority}")).map_err(|_| Error::HttpRequestUriInvalid)
}

fn unresolved() -> Error {
    Error::DnsError { rcode: Some("the name has no address".into()), info_code: None }
}

/// Where an admitted request goes.
struct Target {
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// How long each step may take.
#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl From<RequestOptions> for Limits {
    fn from(options: RequestOptions) -> Self {
        Self {
            connect: options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT),
            first_byte: options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT),
            between_bytes: options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT),
        }
    }
}

/// A connection's bytes, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

type Sender = http1::SendRequest<WasiBody>;
type Connection = http1::Connection<TokioIo<Box<dyn Wire>>, WasiBody>;

/// Connects, TLS included, and makes an HTTP/1.1 connection of it.
async fn open(target: Target) -> Result<(Sender, Connection), Error> {
    let stream = TcpStream::connect(&target.addresses[..]).await;
    let stream = stream.map_err(Error::Connect)?;
    let wire: Box<dyn Wire> = match target.tls {
        Some(Tls { connector, name }) => Box::new(connector.connect(name, stream).await.map_err(Error::Tls)?),
        None => Box::new(stream),
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER);
    Ok(builder.handshake(TokioIo::new(wire)).await?)
}

/// Sends `request` and waits until its response begins.
async fn exchange(target: Target, mut request: Request<WasiBody>, limits: Limits) -> Result<Begun, Error> {
    let opened = timeout(limits.connect, open(target)).await;
    let (sender, connection) = opened.map_err(|_| Error::ConnectionTimeout)??;
    to_origin_form(&mut request)?;
    let (response, rest) = first_byte(sender, connection, request, limits.first_byte).await?;
    let body = |incoming| Timed { incoming, limit: limits.between_bytes, waiting: None };
    Ok((response.map(|incoming| body(incoming).boxed_unsync()), rest))
}

/// Leaves only the path in the request line and names in `Host` the authority that was checked: a
/// server, or a proxy before it, could otherwise be asked for another host.
fn to_origin_form(request: &mut Request<WasiBody>) -> Result<(), Error> {
    let uri = request.uri();
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let host = HeaderValue::from_str(authority.as_str());
    let host = host.map_err(|_| Error::HttpRequestUriInvalid)?;
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    // A URL in the place of a path would reach whomever it names (GHSA-5qpp-g3j2-8frx).
    if !path.path().starts_with('/') {
        return Err(Error::HttpRequestUriInvalid);
    }
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Drives the connection until the response begins, or it has taken too long.
async fn first_byte(
    mut sender: Sender,
    mut connection: Connection,
    request: Request<WasiBody>,
    limit: Duration,
) -> Result<(Response<Incoming>, Rest), Error> {
    let sending = pin!(timeout(limit, sender.send_request(request)));
    let mut closed = false;
    let response = match select(sending, &mut connection).await {
        Either::Left((response, _)) => response,
        Either::Right((Ok(()), sending)) => {
            closed = true;
            sending.await
        }
        Either::Right((Err(error), _)) => return Err(error.into()),
    };
    let rest = (!closed).then_some(connection);
    let response = response.map_err(|_| Error::ConnectionReadTimeout)??;
    Ok((response, Box::new(drive(rest))))
}

/// The rest of a connection's life, while the bodies pass.
async fn drive(connection: Option<Connection>) -> Result<(), Error> {
    let Some(connection) = connection else {
        return Ok(());
    };
    connection.await.map_err(from_response)
}

fn from_response(error: hyper::Error) -> Error {
    if error.is_timeout() { Error::HttpResponseTimeout } else { Error::from(error) }
}

/// A response's body, given up where the peer pauses too long.
struct Timed {
    incoming: Incoming,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(from_response)));
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A TLS client that trusts what this machine trusts. It reads the machine's certificate files, so it
/// is called before the walls go up; certificates it cannot read are left out, and a machine
/// without any makes every handshake fail.
pub fn load_roots() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // The first random number may open a device, which no wall lets through later.
    let _ = provider.secure_random.fill(&mut [0]);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's provider has suites for every default version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    fn outgoing(grant: &str) -> Outgoing {
        let grant = Endpoint::parse_connect(grant).unwrap();
        let network = Network::new(vec![grant], vec![], vec![]);
        Outgoing::new(Arc::new(network), Arc::new(Denials::default()), None)
    }

    fn request(method: Method, url: &str) -> Request<WasiBody> {
        let body = Empty::<Bytes>::new().map_err(|never| -> Error { match never {} });
        Request::builder().method(method).uri(url).header(HOST, "elsewhere.example").body(body.boxed_unsync()).unwrap()
    }

    /// Answers one request and returns its head.
    fn server() -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let head = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
            head.join("\n")
        });
        (address, head)
    }

    #[tokio::test]
    async fn a_granted_request_names_the_host_it_reaches() {
        let (address, head) = server();
        let mut outgoing = outgoing(&format!("http://{address}"));
        let request = request(Method::GET, &format!("http://{address}/a?b"));
        let sent = outgoing.send_request(request, None, Box::new(async { Ok(()) }));
        let (response, rest) = Box::into_pin(sent).await.unwrap();
        let rest = tokio::spawn(Box::into_pin(rest));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], b"ok");
        rest.await.unwrap().unwrap();
        let head = head.join().unwrap();
        assert!(head.starts_with("GET /a?b HTTP/1.1\n"), "{head}");
        assert!(head.contains(&format!("host: {address}")), "{head}");
        assert!(!head.contains("elsewhere"), "{head}");
    }

    /// What http takes for a path, whichever release of it.
    #[test]
    fn a_request_line_has_a_path_and_never_another_host() {
        for (path, expected) in [
            ("/a?b", Some("/a?b")),
            ("?b", Some("/?b")),
            ("//elsewhere.example/", Some("//elsewhere.example/")),
            ("http://elsewhere.example/", None),
            ("elsewhere.example", None),
            ("*", None),
        ] {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(Scheme::HTTP);
            parts.authority = Some("127.0.0.1:8080".parse().unwrap());
            parts.path_and_query = PathAndQuery::try_from(path).ok();
            let mut request = request(Method::GET, "http://127.0.0.1:8080/");
            let sent = Uri::from_parts(parts).is_ok_and(|uri| {
                *request.uri_mut() = uri;
                to_origin_form(&mut request).is_ok()
            });
            assert_eq!(sent.then(|| request.uri().to_string()).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_granted_is_not_sent() {
        let outgoing = outgoing("http://127.0.0.1:8080");
        for (method, url, expected) in [
            (Method::GET, "http://127.0.0.1:8080/", None),
            (Method::GET, "http://127.0.0.1:8081/", Some("HttpRequestDenied")),
            (Method::GET, "https://127.0.0.1:8080/", Some("HttpRequestDenied")),
            (Method::GET, "http://localhost:8080/", Some("HttpRequestDenied")),
            (Method::GET, "http://u@127.0.0.1:8080/", Some("HttpRequestUriInvalid")),
            (Method::GET, "http://0.0.0.0:8080/", Some("HttpRequestUriInvalid")),
            (Method::GET, "/a", Some("HttpRequestUriInvalid")),
            (Method::CONNECT, "http://127.0.0.1:8080/", Some("HttpRequestMethodInvalid")),
        ] {
            let admitted = outgoing.admit(&request(method, url));
            let error = admitted.err().map(|error| format!("{error:?}"));
            assert_eq!(error.as_deref(), expected, "{url}");
        }
    }
}
