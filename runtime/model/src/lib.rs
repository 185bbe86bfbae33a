//! What a job is and what happens next, decided without clock, file, socket or thread.
//!
//! It reads property lists handed to it as bytes, turns them into [`job::Job`]s, plans the walls of a run and
//! steps a run's state machine. It opens nothing, asks the system nothing and performs nothing, so that every
//! rule is a table test; the supervisor, the worker and the sandbox act on what is decided here.

#![forbid(unsafe_code)]

pub mod account;
pub mod advice;
pub mod audit;
pub mod calendar;
pub mod control;
pub mod daemon;
pub mod denial;
pub mod domain;
pub mod explain;
pub mod finding;
pub mod fleet;
pub mod grant;
pub mod handover;
pub mod imports;
pub mod job;
pub mod keys;
pub mod launch;
pub mod learn;
pub mod limit;
pub mod message;
pub mod mounts;
pub mod noted;
pub mod outcome;
pub mod plist;
pub mod program;
pub mod record;
pub mod run;
pub mod socket;
pub mod spec;
pub mod status;
pub mod terminal;
pub mod varlink;
pub mod wall;
