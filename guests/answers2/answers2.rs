//! `answers2`: answers HTTP requests as a component of WASI 0.2 does: `/hello` is a greeting, everything else is not
//! there. It holds no authority and tries none. On other hosts than WebAssembly it is empty.

#[cfg(target_arch = "wasm32")]
mod handler {
    use std::io::Write as _;

    use wasip2::exports::http::incoming_handler::Guest;
    use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

    struct Answers;

    impl Guest for Answers {
        fn handle(request: IncomingRequest, out: ResponseOutparam) {
            let (status, text) = match request.path_with_query().as_deref() {
                Some("/hello") => (200, "hello from 0.2\n"),
                _ => (404, "nothing here\n"),
            };
            let response = OutgoingResponse::new(Fields::new());
            let body = response.set_status_code(status).and_then(|()| response.body());
            ResponseOutparam::set(out, Ok(response));
            if let Ok(body) = body {
                send(body, text);
            }
        }
    }

    /// A client that does not take it has left, and there is nobody else to tell.
    fn send(body: OutgoingBody, text: &str) {
        if let Ok(mut stream) = body.write() {
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.flush();
        }
        let _ = OutgoingBody::finish(body, None);
    }

    wasip2::http::proxy::export!(Answers);
}
