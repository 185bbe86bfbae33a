//! `probe-http URL`: sends one GET request through wasi:http and shows the status and the body's beginning.
//! It follows no redirection and opens no socket of its own.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    guests::only_a_guest("probe-http");
}

#[cfg(target_arch = "wasm32")]
fn main() {
    let url = guests::argument(1, "URL");
    guests::report("http", request::get(&url));
}

#[cfg(target_arch = "wasm32")]
mod request {
    use std::io::Read;

    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{Fields, IncomingResponse, OutgoingRequest, Scheme};

    /// How much of the body is read.
    const BEGINNING: u64 = 200;

    /// The status and the beginning of the body.
    pub fn get(url: &str) -> Result<String, String> {
        let request = request(url)?;
        let pending = outgoing_handler::handle(request, None).map_err(|code| code.to_string())?;
        pending.subscribe().block();
        let response = pending
            .get()
            .ok_or("the response was announced and is not there")?
            .map_err(|()| "the response was taken already")?
            .map_err(|code| code.to_string())?;
        let body = beginning(&response)?;
        Ok(format!("status {}, {}", response.status(), guests::show(&body)))
    }

    fn request(url: &str) -> Result<OutgoingRequest, String> {
        let (scheme, rest) = url.split_once("://").ok_or("the URL has no ://")?;
        let (authority, path) = match rest.find('/') {
            Some(position) => rest.split_at(position),
            None => (rest, "/"),
        };
        let request = OutgoingRequest::new(Fields::new());
        request.set_scheme(Some(&scheme_named(scheme))).map_err(|()| format!("the scheme {scheme} is refused"))?;
        request.set_authority(Some(authority)).map_err(|()| format!("the authority {authority} is refused"))?;
        request.set_path_with_query(Some(path)).map_err(|()| format!("the path {path} is refused"))?;
        Ok(request)
    }

    fn scheme_named(name: &str) -> Scheme {
        match name {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        }
    }

    fn beginning(response: &IncomingResponse) -> Result<Vec<u8>, String> {
        let body = response.consume().map_err(|()| "the response has no body to take")?;
        let stream = body.stream().map_err(|()| "the body has no stream to take")?;
        let mut bytes = Vec::new();
        // Moves the stream, which is dropped here, before the body it came from.
        Read::take(stream, BEGINNING).read_to_end(&mut bytes).map_err(|error| format!("body: {error}"))?;
        Ok(bytes)
    }
}
