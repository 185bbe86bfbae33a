//! Years of a fleet's life in a moment: random jobs, events, failures and clock steps from a seed, with the invariants
//! checked after each step. `WJOB_SEED=n` replays one seed, which a failure prints; `WJOB_SEEDS=n` runs so many.

mod jobs;
mod random;
mod watch;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

pub use jobs::job;

/// Seeds of one test run.
const SEEDS: u64 = 10_000;
/// Seeds in which supervisors follow each other.
const SUCCESSIONS: u64 = 500;
/// Things that happen in one seed before its shutdown.
const TURNS: usize = 500;
/// What a shutdown may take.
const SHUTDOWN: u64 = 30_000;

/// One seed to its end; what was done, folded, and how long it took in the world.
fn live(seed: u64) -> (u64, u64, u64) {
    live_in(World::new(seed))
}

fn live_in(mut world: World) -> (u64, u64, u64) {
    for turn in 0..TURNS {
        if !world.turn() {
            break;
        }
        if turn == TURNS / 2 {
            world.calm(86_400_000);
        }
    }
    let took = world.shut_down(SHUTDOWN);
    assert!(world.exited, "the shutdown never ended");
    assert!(took <= SHUTDOWN, "the shutdown took {took} ms");
    (world.trace, world.age(), world.watched.starts)
}

#[test]
fn invariants_hold_whatever_happens() {
    let one = std::env::var("WJOB_SEED").ok().and_then(|text| text.parse().ok());
    let many = std::env::var("WJOB_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let seeds = one.map_or(0..many, |seed| seed..seed + 1);
    let (mut age, mut starts) = (0, 0);
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| live(seed))) {
            Ok((_, lived, started)) => {
                age += lived;
                starts += started;
            }
            Err(_) => panic!("seed {seed} broke an invariant, see above; WJOB_SEED={seed} replays it"),
        }
    }
    let years = age / 31_557_600_000;
    println!("{} seeds, {years} years, {starts} starts", seeds.end - seeds.start);
    assert!(starts > 0 && (one.is_some() || years > many / 100), "nothing happened: {years} years, {starts} starts");
}

#[test]
fn a_fleet_that_was_written_down_and_read_again_goes_on_as_if_nothing_were() {
    for seed in 0..SUCCESSIONS {
        let (trace, age, starts) = live_in(World::with_successions(seed));
        assert_eq!((trace, age, starts), live(seed), "seed {seed}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(live(seed), live(seed), "seed {seed}");
    }
}
