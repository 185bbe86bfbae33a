//! `probe-sleep SECONDS`: waits in the host; fractions are allowed. It uses no processor time meanwhile.

use std::thread;
use std::time::Duration;

fn main() {
    let seconds: f64 = guests::number(1, "SECONDS");
    let Ok(pause) = Duration::try_from_secs_f64(seconds) else {
        guests::misuse(&format!("SECONDS cannot be {seconds}"));
    };
    thread::sleep(pause);
    guests::report("sleep", Ok(format!("{seconds} s")));
}
