//! `answers`: answers HTTP requests by their path. `/hello` is a greeting, `/count` the number of requests that this
//! instance has had, `/echo` the request's own body as it comes, `/length` the length of that, `/big` a mebibyte, and
//! `/log` a line on each of the standard outputs; `/after` and `/forever` answer as `/echo` does and go on working then;
//! `/keep` takes much memory and keeps it. `/trap`, `/spin`, `/sleep` and `/nap`, a sleep that lets nothing else of
//! the instance run, come to no good end, and neither do `/break`, which traps in the middle of an answer, `/endless`,
//! `/babble`, `/short`, `/long` and `/informational`; `/headers` tries what no header may say, and `/room` how much headers
//! may say at all. It holds no authority and tries none.

mod after;
mod misdeeds;

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use wjob_sdk::http::{Body, Error, Request, Response, StatusCode};

use after::Followed;
use misdeeds::{Breaking, Endless, babble, forged, length, of_length, room};

/// The length of a long body.
const MEBIBYTE: usize = 1 << 20;
/// Longer than any client waits.
const HOUR: Duration = Duration::from_secs(3600);
/// Longer than a host takes to notice that an answer is complete.
const A_WHILE: Duration = Duration::from_millis(500);
/// What an instance keeps that keeps much, bytes.
const MUCH: usize = 450 << 20;

/// What this instance has been asked.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

wjob_sdk::http!(answer);

async fn answer(request: Request) -> Result<Response, Error> {
    let count = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    let path = request.uri().path().to_owned();
    let body: Body = match path.as_str() {
        "/hello" => "hello\n".into(),
        "/count" => format!("{count}\n").into(),
        "/echo" => request.into_body(),
        "/length" => return length(request.into_body()).await,
        "/big" => vec![b'x'; MEBIBYTE].into(),
        "/log" => {
            println!("said on standard output");
            eprintln!("said on standard error");
            "logged\n".into()
        }
        "/trap" => panic!("answers traps on purpose"),
        "/spin" => spin(),
        "/after" => Body::new(Followed::of(request.into_body(), A_WHILE)),
        "/forever" => Body::new(Followed::of(request.into_body(), HOUR)),
        "/keep" => {
            keep();
            "kept\n".into()
        }
        "/sleep" => {
            eprintln!("it sleeps");
            sleep(HOUR).await;
            "awake\n".into()
        }
        "/nap" => {
            thread::sleep(HOUR);
            "awake\n".into()
        }
        "/break" => Body::new(Breaking::of(request.into_body())),
        "/endless" => Body::new(Endless),
        "/babble" => babble(),
        "/short" => return of_length("10", "short"),
        "/long" => return of_length("5", "longer than that"),
        "/informational" => return Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).body("".into()),
        "/headers" => format!("{}\n", forged()).into(),
        "/room" => format!("{}\n", room()).into(),
        _ => return Response::builder().status(StatusCode::NOT_FOUND).body("nothing here\n".into()),
    };
    Ok(Response::new(body))
}

/// Computes for ever, without calling the host.
fn spin() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory, once in the life of an instance, without filling it; where there is none it ends.
fn keep() {
    static KEPT: OnceLock<Vec<u8>> = OnceLock::new();
    black_box(KEPT.get_or_init(|| Vec::with_capacity(MUCH)).as_ptr());
}

/// Waits in the host, where other requests of this instance could go on.
#[cfg(target_arch = "wasm32")]
async fn sleep(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    wasip3::clocks::monotonic_clock::wait_for(nanoseconds).await;
}

#[cfg(not(target_arch = "wasm32"))]
async fn sleep(_: Duration) {
    std::future::pending().await
}
