//! Jobs as the simulation has them: every launch criterion, mixed at random.

use std::sync::Arc;

use super::random::Random;
use crate::calendar::Entry;
use crate::job::Job;
use crate::launch::{Conditions, KeepAlive, Launch};
use crate::spec::{Context, load};

/// Labels of all jobs there can be.
pub const LABELS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Paths that conditions and folders name.
pub const PATHS: [&str; 3] = ["/one", "/two", "/three"];

/// A job whose file says nothing but its program, with these criteria.
pub fn job(label: &str, launch: Launch) -> Job {
    let text = format!("{{ Label = {label}; Program = \"/bin/{label}\"; }}");
    let context = Context { folder: "/", home: "/", uid: 0 };
    Job { launch, ..load(text.as_bytes(), &context).job.unwrap() }
}

/// Some job of this label.
pub fn any(label: &str, random: &mut Random) -> Arc<Job> {
    let mut job = job(label, launch(random));
    job.exit_timeout = *random.of(&[0, 1, 20, 20, 600]);
    job.limits.run_time = random.one_in(5).then(|| random.below(5000) + 1);
    if random.one_in(4) {
        job.sockets.push(crate::socket::Socket::on_port("listener", 0));
    }
    Arc::new(job)
}

fn launch(random: &mut Random) -> Launch {
    let some = |random: &mut Random, times| {
        let path = (*random.of(&PATHS)).to_owned();
        random.one_in(times).then_some(path).into_iter().collect::<Vec<_>>()
    };
    Launch {
        at_load: random.one_in(3),
        keep_alive: keep_alive(random),
        interval: random.one_in(4).then(|| u32::try_from(random.span(4_000_000)).unwrap() + 30),
        calendar: if random.one_in(4) { vec![entry(random)] } else { Vec::new() },
        watch_paths: some(random, 3),
        queue_directories: some(random, 4),
        only_once: random.one_in(10),
        throttle: *random.of(&[0, 1, 10, 10, 10, 3600]),
        ..Launch::default()
    }
}

fn entry(random: &mut Random) -> Entry {
    let mut field = |times: u64, most: u64, least: u8| {
        let value = least + u8::try_from(random.below(most)).unwrap();
        (!random.one_in(times)).then_some(value)
    };
    let (minute, hour) = (field(100, 60, 0), field(4, 24, 0));
    let (day, weekday, month) = (field(1, 31, 1), field(1, 8, 0), field(1, 12, 1));
    Entry { minute, hour, day, weekday, month }
}

fn keep_alive(random: &mut Random) -> KeepAlive {
    match random.below(8) {
        0 => KeepAlive::Always,
        1..=3 => KeepAlive::While(conditions(random)),
        _ => KeepAlive::OnDemand,
    }
}

fn conditions(random: &mut Random) -> Conditions {
    let maybe = |random: &mut Random| random.one_in(3).then(|| random.one_in(2));
    let named = |random: &mut Random, names: &[&str]| {
        let name = (*random.of(names)).to_owned();
        let wanted = random.one_in(2);
        random.one_in(3).then_some((name, wanted)).into_iter().collect::<Vec<_>>()
    };
    Conditions {
        successful_exit: maybe(random),
        crashed: maybe(random),
        path_state: named(random, &PATHS),
        other_loaded: named(random, &LABELS),
        other_active: named(random, &LABELS),
        after_demand: random.one_in(5),
    }
}
